import { describe, expect, it } from 'vitest';
import { hostsToReset } from '../../../src/install/reset-hosts.js';
import { sshSpec } from '../../../src/install/spec/spec-from-flags.js';
import type { ClusterState } from '../../../src/install/state/cluster-state.js';
import { keptSsh, keptSshSchema, parseBastion } from '../../../src/install/state/kept-ssh.js';

describe('a bastion as flags name it', () => {
  it.each([
    ['gate', { host: 'gate', user: 'root', port: 22 }],
    ['op@gate.example.com:2222', { host: 'gate.example.com', user: 'op', port: 2222 }],
    ['10.0.0.9', { host: '10.0.0.9', user: 'root', port: 22 }],
    ['op@[fd00::9]:2222', { host: 'fd00::9', user: 'op', port: 2222 }],
    ['fd00::9', { host: 'fd00::9', user: 'root', port: 22 }],
    ['::1', { host: '::1', user: 'root', port: 22 }],
  ])('%s', (text, bastion) => {
    expect(parseBastion(text)).toEqual(bastion);
  });

  it.each([
    ['', 'is not of the form'],
    ['op@', 'is not of the form'],
    ['@gate', 'is not of the form'],
    ['gate:ssh', 'is not of the form'],
    ['gate:0', '0 is not a port'],
    ['gate:70000', '70000 is not a port'],
    ['ssh://gate', 'is not of the form'],
    ['op:opensesame@gate', 'SLIPWAY_BASTION_PASSWD'],
  ])('%s is refused', (text, why) => {
    const mistake = parseBastion(text);
    expect(mistake).toContain(why);
    expect(mistake).not.toContain('opensesame');
  });
});

describe('how a host was reached', () => {
  const ssh = sshSpec({
    user: 'op',
    port: 2222,
    password: 'secret one',
    privateKey: '/keys/op',
    passphrase: 'secret two',
    sudoPassword: 'secret three',
    knownHosts: '/keys/known',
    bastion: { host: 'gate', user: 'jump', port: 22, privateKey: '/keys/jump', passphrase: 'secret four' },
    bastionPassword: 'secret five',
  });

  it('is kept without secrets', () => {
    expect(ssh.bastion?.password).toBe('secret five');
    const kept = keptSsh(ssh);
    expect(JSON.stringify(kept)).not.toContain('secret');
    expect(keptSshSchema.parse(kept)).toEqual({
      user: 'op',
      port: 2222,
      privateKey: '/keys/op',
      knownHosts: '/keys/known',
      bastion: { host: 'gate', user: 'jump', port: 22, privateKey: '/keys/jump' },
    });
  });

  it('reaches it again, with the secrets given once more', () => {
    const state = {
      hosts: [{ address: '10.0.0.2', roles: ['master'], ssh: keptSsh(ssh), env: {} }],
    } as unknown as ClusterState;
    const [again] = hostsToReset('edge', { sudoPassword: 'secret three', bastionPassword: 'secret five' }, state);
    expect(again?.ssh).toEqual({
      ...keptSsh(ssh),
      sudoPassword: 'secret three',
      bastion: { host: 'gate', user: 'jump', port: 22, privateKey: '/keys/jump', password: 'secret five' },
    });
    const other = { host: 'other', user: 'root', port: 22 };
    expect(hostsToReset('edge', { bastion: other }, state)[0]?.ssh.bastion).toEqual(other);
  });
});
