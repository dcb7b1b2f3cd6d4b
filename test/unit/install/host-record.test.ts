import { expect, it } from 'vitest';
import { compareInstalled, recordedFiles } from '../../../src/install/cluster-hosts/host-record.js';
import { stubHost } from '../../support/stub-host.js';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(64));
const RECORD = `dir\t/etc/slipway
file\t${A}\t/usr/bin/big
file\t${A}\t/etc/with blank
file\t${B}\t/etc/with blank
file\t${A}\t/etc/gone
file\tno sum\t/etc/x
file\t${A}\trelative
unit\tcontainerd.service\tnone
`;

it('reads every content that was put at a path, and nothing else', () => {
  expect([...recordedFiles(RECORD)].map(([path, sums]) => [path, [...sums]])).toEqual([
    ['/usr/bin/big', [A]],
    ['/etc/with blank', [A, B]],
    ['/etc/gone', [A]],
  ]);
});

const compare = async (deep: boolean, sum: string | undefined): Promise<unknown> => {
  const host = stubHost('10.0.0.2', (_title, script) =>
    script.includes('stat')
      ? { stdout: '90000000 /usr/bin/big\n12 /etc/with blank\n', code: 1 }
      : { stdout: `${deep ? `${C}  /usr/bin/big\n` : ''}${sum}  /etc/with blank\n` },
  );
  host.files.set('/var/lib/slipway/host/kubernetes', RECORD);
  return await compareInstalled(host, deep);
};

it('tells what is missing, and what is none of the contents that were put there; programs on demand', async () => {
  expect(await compare(false, B)).toEqual({ missing: ['/etc/gone'], changed: [] });
  expect(await compare(false, C)).toEqual({ missing: ['/etc/gone'], changed: ['/etc/with blank'] });
  expect(await compare(true, A)).toEqual({ missing: ['/etc/gone'], changed: ['/usr/bin/big'] });
});

it('has nothing to say of a host without a record', async () => {
  const host = stubHost('10.0.0.2', () => undefined);
  expect(await compareInstalled(host, true)).toEqual({ missing: [], changed: [] });
  expect(host.asked).toEqual([]);
});
