import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectHost } from '../../../src/hosts/connect.js';
import { SharedBastions } from '../../../src/hosts/shared-bastions.js';
import type { SshSettings } from '../../../src/hosts/ssh-connection.js';
import { until } from '../../support/until.js';
import { type Sshd, startSshd } from './sshd.js';

let gate: Sshd;
let inner: Sshd;
const bastions = new SharedBastions();
const login = ({ port, keyFile }: Sshd): SshSettings => ({ port, keyFile, agent: false, hostKeys: { mode: 'off' } });

beforeAll(async () => {
  gate = await startSshd();
  inner = await startSshd();
});
afterAll(async () => {
  await bastions.close();
  await gate.stop();
  await inner.stop();
});

describe('a bastion', () => {
  it('has one connection for all who ask at once, and for all who ask later', async () => {
    const connections = await Promise.all(Array.from({ length: 5 }, () => bastions.connect('127.0.0.1', login(gate))));
    expect(new Set(connections).size).toBe(1);
    expect(await bastions.connect('127.0.0.1', login(gate))).toBe(connections[0]);
    await bastions.close();
    expect(connections[0]?.ended).toBe(true);
  });

  it('is connected again when the connection was lost', async () => {
    const first = await bastions.connect('127.0.0.1', login(gate));
    const host = connectHost('127.0.0.1', {
      ssh: { ...login(inner), via: () => bastions.connect('127.0.0.1', login(gate)) },
    });
    expect((await host.run('echo ok')).stdout).toBe('ok\n');
    await first.close();
    // whether the host has heard of it by now is not for us to say: it is told by the next run, or a new way is made for it
    await until(async () => (await host.run('echo again')).stdout === 'again\n');
    expect(await bastions.connect('127.0.0.1', login(gate))).not.toBe(first);
    await host.close();
  });

  it('that refuses is named in what is said of the host, and is asked again', async () => {
    const wrong = { ...login(gate), keyFile: inner.keyFile };
    const host = connectHost('127.0.0.1', {
      ssh: { ...login(inner), via: () => bastions.connect('127.0.0.1', wrong) },
    });
    for (let time = 0; time < 2; time++) {
      await expect(host.run('true')).rejects.toMatchObject({
        code: 'E_HOST_AUTH',
        message: expect.stringMatching(
          /^host 127\.0\.0\.1: the bastion cannot be used: host 127\.0\.0\.1: the login as root was refused/,
        ),
      });
    }
  });
});
