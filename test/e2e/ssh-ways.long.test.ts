// The ways to hosts that a person can ask for: through a bastion, with sudo passwords and agents; and what is said when they are wrong.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { putClusterState } from '../support/cluster-state.js';
import { slipway, startSlipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`ssh-ways: left out: ${lab.why}`);

const home = tempDirectory('slipway-ways-');
const root = join(home, 'store');
const LOGIN = 'login of op 4711';
const JUMP = 'login of jump 4711';
let gate: LabHost;
let inner: LabHost;
let agent: ChildProcess | undefined;

/** Nothing of the person who runs the tests may help. */
const env = { SSH_AUTH_SOCK: '', HOME: home };
const exec = (flags: readonly string[], command: string, more: NodeJS.ProcessEnv = {}) =>
  slipway(['exec', '--cluster', 'site', '--host-key-check=off', ...flags, '--', command], {
    root,
    env: { ...env, ...more },
  });

describe.skipIf(!lab.ok).sequential('a host that only its bastion can reach', () => {
  beforeAll(async () => {
    gate = await startLabHost('ways-gate', '10.99.0.93');
    inner = await startLabHost('ways-in', '10.99.0.94');
    await inner.run(`
      useradd --create-home --shell /bin/bash op; echo 'op:${LOGIN}' | chpasswd
      install -d -o op /home/op/.ssh; install -o op /root/.ssh/authorized_keys /home/op/.ssh/
      echo 'op ALL=(ALL) ALL' >/etc/sudoers.d/op
      echo 'AllowUsers *@${gate.ip}' >/etc/ssh/sshd_config.d/only.conf; systemctl restart ssh`);
    await gate.run(`useradd --create-home jump; echo 'jump:${JUMP}' | chpasswd`);
    mkdirSync(root, { recursive: true });
    await putClusterState(root, 'site', { [inner.ip]: 'master' });
  });

  afterAll(async () => {
    agent?.kill();
    await stopLabHosts();
  });

  it('refuses who comes straight, and lets in who comes through it', async () => {
    const straight = await exec(['-i', gate.keyFile], 'hostname');
    expect(straight.code).toBe(1);
    expect(straight.stderr).toContain(`host ${inner.ip}: the login as root was refused`);
    const through = await exec(['-i', gate.keyFile, '--bastion', gate.ip], 'hostname');
    expect(through).toMatchObject({ code: 0, stdout: `${inner.ip} | ways-in\n`, stderr: '' });
  });

  it('is reached as another user with a sudo password, a bastion with a password of its own, and no secret is seen', async () => {
    await inner.run('mkfifo /root/go');
    const running = startSlipway(
      [
        ...['exec', '--cluster', 'site', '--host-key-check=off', '-u', 'op', '-i', gate.keyFile],
        ...[
          '--bastion',
          `jump@${gate.ip}:22`,
          '--sudo-passwd',
          LOGIN,
          '--',
          'id -u; ps -eo args; echo waiting; cat /root/go',
        ],
      ],
      { root, env: { ...env, SLIPWAY_BASTION_PASSWD: JUMP } },
    );
    let over = false;
    const ended = running.ended.finally(() => {
      over = true;
    });
    await until(() => running.output().includes('waiting') || over, 100);
    const seen =
      execFileSync('ps', ['-eo', 'args']).toString() +
      (await inner.run('ps -eo args')) +
      (await gate.run('ps -eo args'));
    // not blocked for ever when nobody reads
    await inner.run('timeout 20 sh -c "echo done >/root/go"; true');
    const { code, stdout, stderr } = await ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(`${inner.ip} | 0\n`);
    expect(stdout).toContain(`${inner.ip} | done\n`);
    for (const text of [seen, stdout, stderr]) {
      expect(text).not.toContain(LOGIN);
      expect(text).not.toContain(JUMP);
    }
  });

  it('says whose password is wrong', async () => {
    const flags = ['-u', 'op', '-i', gate.keyFile, '--bastion', `jump@${gate.ip}`];
    const sudo = await exec(flags, 'true', { SLIPWAY_BASTION_PASSWD: JUMP, SLIPWAY_SUDO_PASSWD: 'wrong sudo 4711' });
    expect(sudo.code).toBe(1);
    expect(sudo.stderr).toContain(`host ${inner.ip}: the sudo password is wrong`);
    const bastion = await exec(flags, 'true', { SLIPWAY_BASTION_PASSWD: 'wrong jump 4711' });
    expect(bastion.code).toBe(1);
    expect(bastion.stderr).toContain(
      `host ${inner.ip}: the bastion cannot be used: host ${gate.ip}: the login as jump was refused`,
    );
    expect(sudo.stderr + bastion.stderr).not.toMatch(/wrong (?:sudo|jump) 4711/);
  });

  it('says that the bastion is not there', async () => {
    const { code, stderr } = await exec(['-i', gate.keyFile, '--bastion', `${gate.ip}:2222`], 'true');
    expect(code).toBe(1);
    expect(stderr).toContain(`host ${inner.ip}: the bastion cannot be used: host ${gate.ip}: cannot be reached`);
    const none = await exec(['--bastion', 'root:secret@gate'], 'true');
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('SLIPWAY_BASTION_PASSWD');
  });

  it('takes the keys of an agent, for the bastion and for itself', async () => {
    const socket = join(home, 'agent');
    agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    await until(() => existsSync(socket), 50);
    execFileSync('ssh-add', ['-q', gate.keyFile], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    expect(await exec(['--bastion', gate.ip], 'hostname')).toMatchObject({ code: 1 });
    expect(await exec(['--bastion', gate.ip], 'hostname', { SSH_AUTH_SOCK: socket })).toMatchObject({ code: 0 });
  });

  it('stays reachable by what the state keeps of the bastion, and nothing that is kept is secret', async () => {
    await putClusterState(
      root,
      'kept',
      { [inner.ip]: 'master', '10.99.0.250': 'node' },
      {
        hosts: [inner.ip, gate.ip].map((address, index) => ({
          address,
          roles: [index === 0 ? 'master' : 'node'],
          hostname: '',
          machineId: '',
          ssh: {
            user: 'op',
            port: 22,
            privateKey: gate.keyFile,
            bastion: { host: gate.ip, user: 'jump', port: 22 },
          },
          env: {},
          index,
        })),
      },
    );
    // the user op is only on the inner host: the other one stays, and with it the state and the logs
    const { code, stdout, stderr } = await slipway(['reset', '--cluster', 'kept', '--force', '--host-key-check=off'], {
      root,
      env: { ...env, SLIPWAY_BASTION_PASSWD: JUMP, SLIPWAY_SUDO_PASSWD: LOGIN },
    });
    expect(code, stdout).toBe(1);
    expect(stdout).toContain('1 of 2 hosts are clean');
    expect(stderr).toContain(`${gate.ip}: `);
    const kept = readdirSync(join(root, 'data/kept'), { recursive: true, withFileTypes: true }).filter((one) =>
      one.isFile(),
    );
    expect(kept.map(({ name }) => name)).toEqual(expect.arrayContaining(['cluster.json', `${gate.ip}.log`]));
    for (const { parentPath, name } of kept) {
      const text = readFileSync(join(parentPath, name), 'utf8');
      expect(text, name).not.toContain(LOGIN);
      expect(text, name).not.toContain(JUMP);
    }
  });

  it('can be described in a Clusterfile', async () => {
    const file = join(home, 'Clusterfile');
    writeFileSync(join(home, 'jump.secret'), `${JUMP}\n`);
    writeFileSync(
      file,
      `apiVersion: slipway/v1
kind: Cluster
metadata: { name: file }
spec:
  image: none:v1
  ssh:
    user: op
    pk: ${gate.keyFile}
    sudoPasswd: "\${env:SUDO}"
    bastion: { host: ${gate.ip}, user: jump, passwd: { file: jump.secret } }
  hosts: [{ ips: [${inner.ip}], roles: [master] }]
`,
    );
    // The image is looked for first: as far as that the file, with its secrets, was read.
    const { stderr } = await slipway(['plan', '-f', file], { root, env: { ...env, SUDO: LOGIN } });
    expect(stderr).toContain('none:v1');
    expect(stderr).not.toContain(LOGIN);
  });
});
