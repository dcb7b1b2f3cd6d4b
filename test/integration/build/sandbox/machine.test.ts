import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SECCOMP_ARCHITECTURES } from '../../../../src/base/seccomp-profile.js';
import { compileSandbox, createFixture, type Fixture } from './fixture.js';

const HEADERS = { x64: '/usr/include/x86_64-linux-gnu/asm/unistd_64.h', arm64: '/usr/include/asm-generic/unistd.h' };
const NOBODY = 65534;

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture('host');
});
afterEach(() => {
  vi.unstubAllEnvs();
  fixture.remove();
});

describe.each(Object.entries(HEADERS))('the call numbers for %s', (arch, header) => {
  it.skipIf(!existsSync(header))("agree with the kernel's headers", () => {
    const text = readFileSync(header, 'utf8');
    for (const [name, number] of Object.entries(SECCOMP_ARCHITECTURES[arch]?.numbers ?? {})) {
      const defined = new RegExp(`^#define __NR(?:3264)?_${name}\\s+(\\d+)`, 'm').exec(text)?.[1];
      // Newer than this machine's headers.
      if (defined !== undefined || number < 450) expect(`${name} ${defined}`).toBe(`${name} ${number}`);
    }
  });
});

describe('an engine that cannot work', () => {
  it('is reported with what it said', async () => {
    const broken = join(fixture.home, 'broken');
    mkdirSync(broken);
    writeFileSync(
      join(broken, 'bwrap'),
      '#!/bin/sh\necho "bwrap: Creating new namespace failed: Operation not permitted" >&2\nexit 1\n',
      {
        mode: 0o755,
      },
    );
    vi.stubEnv('PATH', `${broken}:${process.env.PATH}`);
    await expect(fixture.run('true')).rejects.toMatchObject({
      code: 'E_PERMISSION',
      message: expect.stringContaining('Creating new namespace failed: Operation not permitted'),
      hint: expect.stringContaining('--privileged'),
    });
    expect(readdirSync(fixture.scratch)).toEqual([]);
  });

  it('is reported as too old when it does not know an option', async () => {
    const old = join(fixture.home, 'old');
    mkdirSync(old);
    writeFileSync(join(old, 'bwrap'), '#!/bin/sh\nexec /usr/bin/bwrap --no-such-option "$@"\n', { mode: 0o755 });
    vi.stubEnv('PATH', `${old}:${process.env.PATH}`);
    await expect(fixture.run('true')).rejects.toMatchObject({
      code: 'E_MOUNT',
      hint: expect.stringContaining('bubblewrap 0.8'),
    });
  });
});

describe('bad requests', () => {
  it('are refused', async () => {
    for (const missing of [{ rootfs: '/no/such' }, { scratch: '/no/such' }])
      await expect(fixture.run('true', missing)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(fixture.run([])).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(fixture.run('echo \0')).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(fixture.run('true', { env: { 'A=': 'x' } })).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(fixture.run(`: ${'x'.repeat(140_000)}`)).rejects.toMatchObject({
      code: 'E_USAGE',
      hint: expect.stringContaining('script file'),
    });
    expect((await fixture.run(`: ${'x'.repeat(130_000)}; echo ok`)).stdout).toBe('ok\n');
  });
});

describe('a user who is not root', () => {
  it.each(['host', 'container'] as const)('runs in a user namespace of its own, %s mode', (isolation) => {
    const compiled = compileSandbox(join(fixture.home, 'compiled'));
    const program = join(fixture.home, 'rootless.mjs');
    const request = {
      rootfs: fixture.rootfs,
      scratch: fixture.scratch,
      isolation,
      argv: [
        '/bin/sh',
        '-c',
        'id -u; echo x >made; cat /run/secrets/token; touch /usr/x 2>/dev/null || echo kept; chmod 600 /dev/null 2>/dev/null; exit 4',
      ],
      env: {},
      cwd: '/',
      network: 'none',
    };
    writeFileSync(
      program,
      `import { runSandboxed } from ${JSON.stringify(compiled)};
       const secret = { type: 'secret', content: Buffer.from('hush '), target: '/run/secrets/token' };
       const result = await runSandboxed({ ...${JSON.stringify(request)}, mounts: [secret], onOutput: (chunk) => process.stdout.write(chunk) });
       console.log(JSON.stringify(result));`,
    );
    if (isolation === 'container') {
      mkdirSync(join(fixture.rootfs, 'bin'));
      for (const name of ['sh', 'id', 'cat', 'touch', 'chmod'])
        cpSync('/bin/busybox', join(fixture.rootfs, 'bin', name));
      mkdirSync(join(fixture.rootfs, 'usr'), { mode: 0o555 });
    }
    chmodSync(fixture.home, 0o755);
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, fixture.rootfs, fixture.scratch]);
    const before = statSync('/dev/null').mode;
    const output = execFileSync(process.execPath, [program], { uid: NOBODY, gid: NOBODY, cwd: '/' }).toString();
    const kept = isolation === 'host' ? 'kept\n' : '';
    expect(output).toBe(`0\nhush ${kept}{"code":4,"engine":"bwrap"}\n`);
    expect(statSync(join(fixture.rootfs, 'made')).uid).toBe(NOBODY);
    expect(existsSync(join(fixture.rootfs, 'run'))).toBe(false);
    expect(statSync('/dev/null').mode).toBe(before);
  });
});
