import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { redact } from '../../../src/base/redact.js';
import { clusterfileJsonSchema } from '../../../src/install/clusterfile/json-schema.js';
import { readClusterfile } from '../../../src/install/clusterfile/read-clusterfile.js';
import { type Overrides, specFromClusterfile } from '../../../src/install/clusterfile/spec-from-clusterfile.js';
import { tempDirectory } from '../../support/temp.js';

const home = tempDirectory('slipway-clusterfile-ssh-');
writeFileSync(join(home, 'jump.secret'), 'secret-of-the-bastion\n');
const environment = { HOME: '/home/op', SUDO: 'secret-of-sudo' };

const file = (ssh: string, ofHost = ''): string => `apiVersion: slipway/v1
kind: Cluster
metadata: { name: edge }
spec:
  image: k8s:v1
  ssh: ${ssh}
  hosts:
    - { ips: [10.0.0.2], roles: [master]${ofHost} }
`;
async function sshOf(text: string, overrides: Overrides = {}) {
  const spec = await specFromClusterfile(readClusterfile(text, 'Clusterfile'), overrides, {
    file: join(home, 'Clusterfile'),
    environment,
  });
  return spec.hosts[0]?.ssh;
}
const WHOLE =
  '{ user: op, sudoPasswd: "${env:SUDO}", knownHosts: keys/known, bastion: { host: gate, port: 2222, user: jump, passwd: { file: jump.secret }, pk: ~/.ssh/jump, pkPasswd: "abc-abc" } }';

describe('the ways to hosts in a Clusterfile', () => {
  it('are read, with secrets from elsewhere and paths from its directory', async () => {
    expect(await sshOf(file(WHOLE))).toEqual({
      user: 'op',
      port: 22,
      sudoPassword: 'secret-of-sudo',
      knownHosts: join(home, 'keys/known'),
      bastion: {
        host: 'gate',
        port: 2222,
        user: 'jump',
        password: 'secret-of-the-bastion',
        privateKey: '/home/op/.ssh/jump',
        passphrase: 'abc-abc',
      },
    });
    expect(redact('secret-of-sudo secret-of-the-bastion')).not.toContain('secret');
  });

  it('have defaults, are beaten by flags, and those of a host count most', async () => {
    expect((await sshOf(file('{ bastion: { host: gate } }')))?.bastion).toEqual({
      host: 'gate',
      user: 'root',
      port: 22,
    });
    const flags: Overrides = {
      ssh: { bastion: { host: 'other', user: 'root', port: 22 }, bastionPassword: 'given', sudoPassword: undefined },
    };
    expect(await sshOf(file(WHOLE), flags)).toMatchObject({
      sudoPassword: 'secret-of-sudo',
      bastion: { host: 'other', user: 'root', port: 22, password: 'given' },
    });
    const own = await sshOf(file('{ bastion: { host: gate } }', ', ssh: { bastion: { host: near } }'), flags);
    expect(own?.bastion).toMatchObject({ host: 'near', password: 'given' });
  });

  it('are told where they are wrong', async () => {
    await expect(sshOf(file('{ bastion: { user: jump } }'))).rejects.toThrow(
      /Clusterfile:6:\d+: spec\.ssh\.bastion\.host: is missing/,
    );
    await expect(sshOf(file('{ bastion: { host: gate, passw: x } }'))).rejects.toThrow(
      /bastion\.passw: unknown field; did you mean passwd\?/,
    );
    await expect(sshOf(file('{ bastion: { host: gate, passwd: "${env:NONE}" } }'))).rejects.toThrow(
      /Clusterfile:6:\d+: spec\.ssh\.bastion\.passwd: there is no environment variable NONE/,
    );
  });

  it('are in the schema for editors', () => {
    expect(JSON.stringify(clusterfileJsonSchema())).toContain('a machine that the hosts are reached through');
  });
});
