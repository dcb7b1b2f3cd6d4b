import { describe, expect, it } from 'vitest';
import { resolveUser } from '../../../../src/build/sandbox/rootfs-user.js';

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\n# comment\nweb:x:33:34:Web:/srv/web:/bin/false\nbroken\n';
const GROUP = 'root:x:0:\nweb:x:34:\nmedia:x:50:web,other\nlog:x:51:root,web\n';
const resolve = (user: string | undefined) => resolveUser(user, PASSWD, GROUP, "the rootfs's ");

describe('the user of a RUN', () => {
  it('is root when none is given', () => {
    expect(resolve(undefined)).toEqual({ uid: 0, gid: 0, groups: [51], home: '/root' });
    expect(resolveUser('', undefined, undefined, '')).toEqual({ uid: 0, gid: 0, groups: [], home: '/' });
  });

  it('is found by name, with the groups that list it', () => {
    expect(resolve('web')).toEqual({ uid: 33, gid: 34, groups: [50, 51], home: '/srv/web' });
  });

  it('is found by number', () => {
    expect(resolve('33')).toEqual({ uid: 33, gid: 34, groups: [50, 51], home: '/srv/web' });
    expect(resolve('1234')).toEqual({ uid: 1234, gid: 0, groups: [], home: '/' });
    expect(resolve('1234:5678')).toEqual({ uid: 1234, gid: 5678, groups: [], home: '/' });
  });

  it('has just the group that is given', () => {
    expect(resolve('web:media')).toEqual({ uid: 33, gid: 50, groups: [], home: '/srv/web' });
    expect(resolve('web:0')).toMatchObject({ uid: 33, gid: 0 });
  });

  it.each(['nobody', '-1', '4294967295', '99999999999', '0x10', 'broken'])('%s is nobody', (name) => {
    expect(() => resolve(name)).toThrow(
      expect.objectContaining({ code: 'E_NOT_FOUND', message: expect.stringContaining(name) }),
    );
  });

  it('names the file that lacks the group', () => {
    expect(() => resolve('web:wheel')).toThrow("cannot run as group wheel: it is not in the rootfs's /etc/group");
  });
});
