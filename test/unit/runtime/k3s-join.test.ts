import { expect, it } from 'vitest';
import { joinMasterStep } from '../../../src/runtime/k3s/join.js';
import { stubHost } from '../../support/stub-host.js';

const CA = 'a'.repeat(64);
const LOOK = 'looking for k3s on the host';
const member = (name: string, address: string) => ({ id: 1, name, peerURLs: [`https://${address}:2380`] });

/** Joins a master that has data of etcd from an attempt that broke off, up to where its files would be written; whether it was cleaned. */
async function cleaned(ofHost: string, members: readonly object[]): Promise<boolean> {
  const entry = stubHost('10.0.0.2', (title) => {
    if (title === LOOK) return { stdout: 'complete\netcd\n' };
    return title === 'looking for the members of etcd' ? { stdout: JSON.stringify(members) } : undefined;
  });
  entry.files.set('/var/lib/rancher/k3s/server/token', `K10${CA}::server:password`);
  const host = stubHost('10.0.0.3', (title) => (title === LOOK ? { stdout: ofHost } : undefined));
  host.writeFile = async () => {
    throw new Error('far enough');
  };
  const cluster = { name: 'c', version: 'v1.30.4+k3s1', rootfs: '/r', masters: [entry, host], workers: [] } as never;
  await expect(joinMasterStep(host, cluster).run(() => {})).rejects.toThrow();
  return host.asked.includes('removing k3s');
}

it('a master whose member was taken out meanwhile begins anew, for its etcd would wait for the others for ever', async () => {
  const broken = `installed server\nserver-data\netcd\nca ${CA}\n`;
  expect(await cleaned(broken, [member('m1', '10.0.0.2')])).toBe(true);
});

it.each([
  ['one that is a member', [member('m1', '10.0.0.2'), member('', '10.0.0.3')], 'installed server\nserver-data\netcd\n'],
  ['one without data of etcd', [member('m1', '10.0.0.2')], 'installed server\n'],
])('%s goes on with what it has', async (_which, members, remains) => {
  expect(await cleaned(`${remains}ca ${CA}\n`, members)).toBe(false);
});
