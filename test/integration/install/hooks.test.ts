// Hooks as an installation runs them, over a real sshd: with their variables, in order, once; when they fail, hang, or print without end.
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { messageOf, type SlipwayError } from '../../../src/base/errors.js';
import { silentReporter } from '../../../src/base/reporter.js';
import { connectHost } from '../../../src/hosts/connect.js';
import type { Host } from '../../../src/hosts/host.js';
import { HostLog, loggedHost } from '../../../src/install/cluster-hosts/host-log.js';
import { preCleanHooksPhase } from '../../../src/install/phases/clean-hooks.js';
import {
  afterHooksPhase,
  afterHostHooksPhase,
  beforeHostHooksPhase,
  originallyHooksPhase,
} from '../../../src/install/phases/hooks.js';
import { type ExecuteOutcome, execute } from '../../../src/install/plan/execute.js';
import { makePlan } from '../../../src/install/plan/plan.js';
import type { Phase } from '../../../src/install/plan/step.js';
import type { ResetWork } from '../../../src/install/reset-work.js';
import type { HookPhaseName } from '../../../src/install/spec/hook-phases.js';
import type { PluginSpec } from '../../../src/install/spec/plugin-spec.js';
import { hostPaths } from '../../../src/install/state/cluster-paths.js';
import { Journal } from '../../../src/install/state/journal.js';
import type { InstallWork } from '../../../src/install/work.js';
import { tempDirectory } from '../../support/temp.js';
import { type Sshd, startSshd } from '../hosts/sshd.js';

const ADDRESS = '127.0.0.1';
const scratch = tempDirectory('slipway-hooks-');
const paths = hostPaths(join(scratch, 'root'), 'plant');
const said = join(scratch, 'said');
let sshd: Sshd;
let plain: Host;
beforeAll(async () => {
  sshd = await startSshd();
  plain = connectHost(ADDRESS, {
    ssh: { user: 'root', port: sshd.port, keyFile: sshd.keyFile, hostKeys: { mode: 'off' } },
  });
});
afterAll(async () => {
  await plain.close();
  await sshd.stop();
});
beforeEach(() => {
  rmSync(paths.base, { recursive: true, force: true });
  rmSync(said, { force: true });
  mkdirSync(join(paths.rootfs, 'bin'), { recursive: true });
});

const shell = (name: string, phase: HookPhaseName, data: string, more: Partial<PluginSpec> = {}): PluginSpec => ({
  name,
  type: 'SHELL',
  phases: [phase],
  data,
  source: 'the Clusterfile',
  ...more,
});

interface Ran extends ExecuteOutcome {
  readonly log: string;
}

/** Runs hooks on this machine as the only master of a cluster that begins; gives the log of the host too. */
async function run(plugins: readonly PluginSpec[], critical = true): Promise<Ran> {
  const log = await HostLog.open(join(scratch, 'logs'), ADDRESS);
  rmSync(log.file, { force: true });
  const one = {
    address: ADDRESS,
    host: loggedHost(plain, log),
    spec: { address: ADDRESS, roles: ['master'] },
    master: true,
    env: { HostIP: ADDRESS, SITE: 'it\'s "here"' },
  };
  const work = {
    spec: { name: 'plant', hosts: [one.spec] },
    hosts: [one],
    entry: one,
    paths,
    driver: { adminKubeconfig: '/etc/kubernetes/admin.conf' },
    setups: new Map(),
    moments: { installing: true, scaleUp: undefined, change: undefined },
    plugins,
  } as unknown as InstallWork;
  const phases = [originallyHooksPhase, beforeHostHooksPhase, afterHostHooksPhase, afterHooksPhase];
  return executed(phases, work, log, critical);
}

async function executed<C>(phases: readonly Phase<C>[], work: C, log: HostLog, critical: boolean): Promise<Ran> {
  const journal = await Journal.open(join(scratch, 'journal.jsonl'), 'run');
  try {
    const outcome = await execute(makePlan(phases, work), {
      journal,
      done: new Map(),
      logs: new Map([[ADDRESS, log]]),
      reporter: silentReporter,
      concurrency: 4,
      critical: new Set(critical ? [ADDRESS] : []),
      signal: new AbortController().signal,
      again: 'slipway apply -f Clusterfile',
    });
    await log.close();
    return { ...outcome, log: readFileSync(log.file, 'utf8') };
  } finally {
    await journal.close();
    await log.close();
  }
}

async function failure(work: Promise<unknown>): Promise<SlipwayError> {
  try {
    await work;
  } catch (error) {
    return error as SlipwayError;
  }
  throw new Error('it did not fail');
}

const lines = (): string[] => readFileSync(said, 'utf8').trim().split('\n');

describe('hooks on a host', () => {
  it('are run in order, with their variables, in the rootfs, and not again until they change', async () => {
    writeFileSync(join(paths.rootfs, 'bin/of-the-image'), '#!/bin/sh\necho from the image\n', { mode: 0o755 });
    const plugins = [
      shell('b', 'pre-init-host', `pwd >>${said}; of-the-image >>${said}; echo "$HostIP $SITE $KUBECONFIG" >>${said}`),
      shell('a', 'PreInit', `echo first >>${said}`),
      shell('o', 'Originally', `pwd >>${said}`),
      shell('z', 'post-install', `echo "$KUBECONFIG" >>${said}`),
    ];
    const { ran, log } = await run(plugins);
    expect(ran).toBe(4);
    expect(lines()).toEqual([
      ...['/', 'first', paths.rootfs, 'from the image', `${ADDRESS} it's "here" `],
      '/etc/kubernetes/admin.conf',
    ]);
    expect(log).toContain('== hook b');
    expect(await run(plugins)).toMatchObject({ ran: 0, skipped: 4 });
    expect(lines()).toHaveLength(6);
    const changed = plugins.map((one) => (one.name === 'z' ? { ...one, data: `echo changed >>${said}` } : one));
    expect(await run(changed)).toMatchObject({ ran: 1, skipped: 3 });
    expect(lines().at(-1)).toBe('changed');
  }, 300_000);

  it('may be long, read standard input, and say anything', async () => {
    const long = `# ${'x'.repeat(300_000)}\n`;
    await run([
      shell(
        'a',
        'post-init-host',
        `${long}cat >>${said}\nread -r line && echo "$line" >>${said}\necho "'end' \\$1 \`date\` EOF" | sed s/date/d/ >/dev/null\ncat <<'EOF' >>${said}\n$HOME 'quoted'\nEOF`,
      ),
    ]);
    expect(lines()).toEqual(["$HOME 'quoted'"]);
  });

  it('that fail stop everything, with all that one needs to know', async () => {
    const wrong = shell('prepare', 'pre-init-host', `echo looking; echo no such disk >&2; exit 3`);
    const error = await failure(run([wrong, shell('z', 'post-install', `echo z >>${said}`)]));
    expect(error.code).toBe('E_HOST_COMMAND');
    expect(error.message).toMatch(
      /^127\.0\.0\.1: hook prepare failed: host 127\.0\.0\.1: hook prepare failed with exit code 3:\n {2}(looking\n {2}no such disk|no such disk\n {2}looking)$/,
    );
    expect(error.hint).toMatch(
      /^mend plugin prepare in the Clusterfile; the whole output is in .*127\.0\.0\.1\.log; slipway apply -f Clusterfile goes on from here$/,
    );
    expect(() => statSync(said)).toThrow();
    // mended, it is run; what was done before it is not run again
    expect(await run([{ ...wrong, data: 'true' }, shell('z', 'post-install', `echo z >>${said}`)])).toMatchObject({
      ran: 2,
    });
  });

  it('that fail on a worker leave it out', async () => {
    const { failures, ran } = await run(
      [shell('a', 'pre-init-host', 'exit 1'), shell('b', 'post-init-host', 'true')],
      false,
    );
    expect(failures.map(({ step }) => step.id)).toEqual([`hook-pre-init-host-a@${ADDRESS}`]);
    expect(ran).toBe(0);
  });

  it('that hang are ended, with everything that they started', async () => {
    const hanging = shell('wait', 'post-init-host', `echo waiting; echo $$ >${said}; sleep 98764 & wait`, {
      timeoutMs: 10_000,
    });
    const error = await failure(run([hanging]));
    expect(error.code).toBe('E_TIMEOUT');
    expect(error.message).toMatch(/hook wait did not end within 10(?:\.0)?s and was ended:\n {2}waiting$/);
    expect(error.hint).toContain('mend plugin wait in the Clusterfile, or give it more time there ("timeout: 1h")');
    const [pid] = lines();
    while (running(pid)) await sleep(100);
  });

  it('that print several hundred megabytes fill neither the memory nor the disk', async () => {
    const noisy = `echo the beginning; head -c 150000000 /dev/zero | tr '\\0' x; echo
yes 'a line of a hook that says the same for ever' | head -c 250000000; echo; echo the end; exit 9`;
    const before = process.memoryUsage().rss;
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss);
    }, 50);
    try {
      const { failures, log } = await run([shell('noisy', 'post-init-host', noisy)], false);
      const said = messageOf(failures[0]?.error);
      expect(said).toMatch(/failed with exit code 9:[\s\S]*the end/);
      expect(said.length).toBeLessThan(20_000);
      expect(log.length).toBeLessThan(8 * 1024 * 1024);
      expect(log).toMatch(/ {2}the beginning\n {2}x+ \[… \d+ more characters\]\n/);
      expect(log).toMatch(/\[… \d+ characters left out …\]/);
      expect(log).toContain('  the end\n');
    } finally {
      clearInterval(watch);
    }
    expect(most - before).toBeLessThan(250 * 1024 * 1024);
  });
});

describe('hooks of a host that is cleaned', () => {
  async function clean(plugin: PluginSpec): Promise<Ran> {
    const log = await HostLog.open(join(scratch, 'logs'), ADDRESS);
    const one = {
      address: ADDRESS,
      host: loggedHost(plain, log),
      roles: ['node'],
      master: false,
      env: { HostIP: ADDRESS },
    };
    const work = {
      cluster: 'plant',
      driver: { adminKubeconfig: '/etc/kubernetes/admin.conf' },
      paths,
      hosts: [one],
      plugins: [plugin],
      asked: undefined,
      first: undefined,
    } as unknown as ResetWork;
    return executed([preCleanHooksPhase], work, log, false);
  }

  it('are run as long as the files of the image are there', async () => {
    const plugin = shell('bye', 'PreClean', `echo "$HostIP $(pwd)" >>${said}`);
    expect(await clean(plugin)).toMatchObject({ ran: 1 });
    expect(await clean(plugin)).toMatchObject({ ran: 1 });
    expect(lines()).toEqual([`${ADDRESS} ${paths.rootfs}`, `${ADDRESS} ${paths.rootfs}`]);
    rmSync(dirname(paths.rootfs), { recursive: true });
    const { failures, log } = await clean(plugin);
    expect(failures).toEqual([]);
    expect(log).toContain('nothing of the image is on this host: not run');
    expect(lines()).toHaveLength(2);
  });

  it('that fail say how to do without them', async () => {
    const { failures } = await clean(shell('bye', 'PreClean', 'exit 4'));
    expect(failures[0]?.error).toMatchObject({
      message: expect.stringContaining('hook bye failed with exit code 4'),
      hint: 'leave hooks out with --skip-hooks',
    });
  });
});

function running(pid: string | undefined): boolean {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
}
