import { expect, it } from 'vitest';
import { listeningSockets } from '../../../../src/build/sandbox/host-sockets.js';

it('finds the sockets of a path that take connections', () => {
  const table = `Num       RefCount Protocol Flags    Type St Inode Path
0000000003a6bf21: 00000002 00000000 00010000 0001 01 46804 /var/lib/mysql/mysql.sock
0000000003a6bf22: 00000003 00000000 00000000 0001 03 46805 /var/lib/mysql/mysql.sock
0000000003a6bf23: 00000003 00000000 00000000 0001 03 46806
0000000003a6bf24: 00000002 00000000 00010000 0005 01   807 /srv/a b.sock
0000000003a6bf25: 00000002 00000000 00000000 0002 01 46808 /dev/log
0000000003a6bf26: 00000002 00000000 00010000 0001 01 46809 @/tmp/.X11-unix/X0
0000000003a6bf27: 00000002 00000000 00000000 0001 03 46810 /only/connected
`;
  expect(listeningSockets(table)).toEqual(['/var/lib/mysql/mysql.sock', '/srv/a b.sock', '/dev/log']);
});
