import { describe, expect, it } from 'vitest';
import type { Host } from '../../../src/hosts/host.js';
import { postCleanHooksPhase, preCleanHooksPhase } from '../../../src/install/phases/clean-hooks.js';
import { marksPhase } from '../../../src/install/phases/marks.js';
import { makePlan, type Plan } from '../../../src/install/plan/plan.js';
import type { Phase } from '../../../src/install/plan/step.js';
import { ASKING_PHASES, RESET_PHASES } from '../../../src/install/reset-phases.js';
import type { ResetWork } from '../../../src/install/reset-work.js';
import { DELETE_PHASES, RUN_PHASES } from '../../../src/install/run-phases.js';
import { HOOK_PHASE_NAMES, type HookPhaseName } from '../../../src/install/spec/hook-phases.js';
import type { PluginSpec } from '../../../src/install/spec/plugin-spec.js';
import { hostPaths } from '../../../src/install/state/cluster-paths.js';
import type { InstallWork, Moments } from '../../../src/install/work.js';

const paths = hostPaths('/var/lib/slipway', 'plant');
const source = 'the Clusterfile';
const shell = (name: string, phases: readonly HookPhaseName[], more: Partial<PluginSpec> = {}): PluginSpec => ({
  name,
  type: 'SHELL',
  phases: [...phases],
  data: `echo ${name}`,
  source,
  ...more,
});
/** One for each phase, of the same name, so that each says itself when it is. */
const EVERY = HOOK_PHASE_NAMES.map((phase) => shell('x', [phase], { data: phase }));

/** Hosts whose file of notes is kept here. */
class Notes {
  readonly files = new Map<string, string>();
  host(address: string): Host {
    return {
      address,
      readFile: async () => (this.files.has(address) ? Buffer.from(this.files.get(address) ?? '') : undefined),
      writeFile: async (_: string, text: string) => void this.files.set(address, text),
    } as unknown as Host;
  }
}

interface Facts {
  readonly moments?: Partial<Moments>;
  /** Addresses of hosts that are nodes already. */
  readonly members?: readonly string[];
  readonly plugins?: readonly PluginSpec[];
  readonly notes?: Notes;
}

/** As much of an installation as hooks need: masters .2 and .3, worker .4. */
function work({ moments = {}, members = [], plugins = EVERY, notes = new Notes() }: Facts): InstallWork {
  const hosts = [
    { address: '10.0.0.2', roles: ['master'] },
    { address: '10.0.0.3', roles: ['master'] },
    { address: '10.0.0.4', roles: ['node', 'storage'] },
  ].map(({ address, roles }) => ({
    address,
    host: notes.host(address),
    spec: { address, roles },
    master: roles.includes('master'),
    env: { HostIP: address },
  }));
  return {
    spec: { name: 'plant', hosts: hosts.map(({ spec }) => spec) },
    hosts,
    entry: hosts[0],
    paths,
    driver: { adminKubeconfig: '/etc/kubernetes/admin.conf' },
    setups: new Map(members.map((address) => [address, undefined])),
    moments: { installing: false, scaleUp: undefined, change: undefined, ...moments },
    plugins,
  } as unknown as InstallWork;
}

const HOOKS = RUN_PHASES.filter(({ name }) => name.startsWith('hooks-') && !name.includes('clean'));
const said = (plan: Plan): string[] =>
  plan.map(({ steps }) => steps.map(({ why, host }) => `${why.split(',')[0]} ${host?.slice(-1)}`).join(' '));
const hooks = (facts: Facts): string[] => said(makePlan(HOOKS, work(facts)));

describe('hooks of an installation', () => {
  it('have their places in it', () => {
    expect(RUN_PHASES.map(({ name }) => name)).toEqual([
      ...['claim', 'aliases', 'hooks-originally', 'registry-upload', 'distribute', 'app-images', 'hostnames'],
      ...['hooks-upgrade-host', 'hooks-before', 'hooks-before-host', 'setup', 'registry-content', 'registry-trust'],
      ...['registry', 'mirrors', 'registry-end', 'hooks-change', 'remove-dead', 'init', 'preload'],
      ...[
        'upgrade-masters',
        'join-masters',
        'join-workers',
        'follow',
        'upgrade-workers',
        'alt-names',
        'hooks-after-host',
      ],
      ...['hooks-after', 'marks', 'kubeconfig', 'hooks-pre-guest', 'launch', 'ready', 'hooks-last'],
      ...['hooks-pre-clean', 'remove', 'remove-kubernetes', 'remove-setup', 'hooks-post-clean', 'remove-files'],
    ]);
  });

  it('are those of a cluster that begins', () => {
    expect(hooks({ moments: { installing: true } })).toEqual([
      'Originally 2 Originally 3 Originally 4',
      'pre-install 2',
      'PreInit 2 PreInit 3 PreInit 4',
      'PreInstall 2 PreInstall 3 PreInstall 4',
      'pre-init-host 2 pre-init-host 3 pre-init-host 4',
      'post-init-host 2 post-init-host 3 post-init-host 4',
      'post-install 2',
      'PreGuest 2 PreGuest 3 PreGuest 4',
      'PostInstall 2 PostInstall 3 PostInstall 4',
    ]);
  });

  it('of a cluster that was begun do not prepare hosts that are nodes', () => {
    expect(hooks({ moments: { installing: true }, members: ['10.0.0.2', '10.0.0.3'] })).toEqual([
      'Originally 4',
      'PreInit 4',
      'PreInstall 4',
      'pre-init-host 4',
      'post-init-host 2 post-init-host 3 post-init-host 4',
      'post-install 2',
      'PreGuest 2 PreGuest 3 PreGuest 4',
      'PostInstall 2 PostInstall 3 PostInstall 4',
    ]);
  });

  it('are others for a host that joins a cluster that is up', () => {
    const scaleUp = { hosts: ['10.0.0.4'], begun: 'now' };
    expect(hooks({ moments: { scaleUp }, members: ['10.0.0.2', '10.0.0.3'] })).toEqual([
      'Originally 4',
      'pre-scaleup 2',
      'PreJoin 4',
      'pre-init-host 4',
      'post-init-host 2 post-init-host 3 post-init-host 4',
      'post-install 2',
      'post-scaleup 2',
      'PreGuest 2 PreGuest 3 PreGuest 4',
      'PostJoin 4',
    ]);
  });

  it('are others again when it becomes another image', () => {
    const members = ['10.0.0.2', '10.0.0.3', '10.0.0.4'];
    const settled = [
      'post-init-host 2 post-init-host 3 post-init-host 4',
      'post-install 2',
      'PreGuest 2 PreGuest 3 PreGuest 4',
    ];
    expect(hooks({ moments: { change: { kind: 'upgrade', begun: 'now' } }, members })).toEqual([
      'upgrade-host 2 upgrade-host 3 upgrade-host 4',
      'upgrade 2',
      ...settled,
    ]);
    expect(hooks({ moments: { change: { kind: 'rollback', begun: 'now' } }, members })).toEqual([
      'rollback 2',
      ...settled,
    ]);
    expect(hooks({ members })).toEqual(settled);
  });

  it('are run each on all its hosts, then the next, by name', () => {
    const plugins = [shell('b', ['PreInit']), shell('a', ['pre-init-host'], { scope: 'master' })];
    expect(hooks({ moments: { installing: true }, plugins })).toEqual([
      'pre-init-host 2 pre-init-host 3',
      'PreInit 2 PreInit 3 PreInit 4',
    ]);
  });

  it('choose hosts by role and address, but those of the whole cluster', () => {
    const plugins = [
      shell('a', ['pre-init-host', 'pre-install'], { scope: 'storage' }),
      shell('b', ['PreInit'], { on: '10.0.0.3-10.0.0.4', scope: 'master' }),
      shell('c', ['PreInit'], { on: 'master0' }),
    ];
    expect(hooks({ moments: { installing: true }, plugins })).toEqual([
      'pre-install 2',
      'pre-init-host 4',
      'PreInit 3',
      'PreInit 2',
    ]);
  });

  it('are shown with what and why', () => {
    const [plan] = makePlan(HOOKS, work({ plugins: [shell('web', ['post-install'])] }));
    expect(plan).toMatchObject({ name: 'hooks-after', title: 'Run hooks when all hosts are nodes' });
    expect(plan?.steps[0]).toMatchObject({
      id: 'hook-post-install-web@10.0.0.2',
      title: 'hook web',
      why: 'post-install, the Clusterfile',
    });
  });
});

describe('a hook that was run', () => {
  const check = async (facts: Facts): Promise<boolean[]> =>
    Promise.all(
      makePlan(HOOKS, work(facts)).flatMap(({ steps }) =>
        steps.map(async (step) => (await step.check?.(new AbortController().signal))?.holds === true),
      ),
    );
  async function run(facts: Facts): Promise<void> {
    for (const { steps } of makePlan(HOOKS, work(facts))) {
      for (const step of steps) {
        await step.run({
          note: () => {},
          signal: new AbortController().signal,
          interrupt: new AbortController().signal,
          failedHosts: new Set(),
        });
      }
    }
  }
  /** Notes of hosts on which scripts only pretend to run. */
  class Hosts extends Notes {
    override host(address: string): Host {
      return { ...super.host(address), run: async () => ({ code: 0, stdout: '', stderr: '' }) };
    }
  }

  it('is not run again, on this host, until its script is another one', async () => {
    const notes = new Hosts();
    const facts = { notes, members: ['10.0.0.2', '10.0.0.3', '10.0.0.4'] };
    const plugins = [shell('a', ['post-init-host'])];
    expect(await check({ ...facts, plugins })).toEqual([false, false, false]);
    await run({ ...facts, plugins });
    expect(await check({ ...facts, plugins })).toEqual([true, true, true]);
    expect(await check({ ...facts, plugins: [shell('a', ['post-init-host'], { data: 'other' })] })).toEqual([
      false,
      false,
      false,
    ]);
    // that a host was installed anew, it says itself
    notes.files.delete('10.0.0.4');
    expect(await check({ ...facts, plugins })).toEqual([true, true, false]);
    // what somebody wrote there says nothing
    notes.files.set('10.0.0.3', '{');
    expect(await check({ ...facts, plugins })).toEqual([true, false, false]);
  });

  it('for the whole cluster is known to every master', async () => {
    const notes = new Hosts();
    const plugins = [shell('a', ['post-install'])];
    await run({ notes, plugins });
    expect([...notes.files.keys()].sort()).toEqual(['10.0.0.2', '10.0.0.3']);
    notes.files.delete('10.0.0.2');
    expect(await check({ notes, plugins })).toEqual([true]);
  });

  it('is run in each upgrade, and each time that hosts join, once', async () => {
    const notes = new Hosts();
    const plugins = [shell('a', ['upgrade', 'post-scaleup'])];
    const moments = (begun: string): Facts => ({
      notes,
      plugins,
      moments: { change: { kind: 'upgrade', begun }, scaleUp: { hosts: ['10.0.0.4'], begun } },
    });
    await run(moments('monday'));
    expect(await check(moments('monday'))).toEqual([true, true]);
    expect(await check(moments('tuesday'))).toEqual([false, false]);
  });
});

describe('hooks of the end', () => {
  function ending(plugins: readonly PluginSpec[]): ResetWork {
    const { hosts, entry, driver } = work({});
    const all = hosts.map(({ spec, ...rest }) => ({ ...rest, roles: spec.roles }));
    return {
      cluster: 'plant',
      driver,
      paths,
      registry: { domain: 'sea.hub', port: 5000 },
      hosts: all,
      plugins,
      asked: all.find(({ address }) => address === entry.address),
      first: entry.address,
    };
  }
  const onlyHooks = <C>(phases: readonly Phase<C>[]): Phase<C>[] =>
    phases.filter(({ name }) => name.startsWith('hooks-'));

  it('have their places in a reset and in a removal', () => {
    expect([...ASKING_PHASES, ...RESET_PHASES].map(({ name }) => name)).toEqual([
      ...['hooks-pre-uninstall', 'hooks-pre-clean', 'remove-kubernetes', 'remove-setup', 'hooks-post-clean'],
      ...['hooks-post-uninstall', 'remove-files'],
    ]);
    expect(DELETE_PHASES.map(({ name }) => name)).toEqual([
      ...[
        'follow',
        'follow-registry',
        'remove-dead',
        'hooks-pre-clean',
        'remove',
        'remove-kubernetes',
        'remove-setup',
        'hooks-post-clean',
      ],
      'remove-files',
    ]);
    expect(said(makePlan(onlyHooks([...ASKING_PHASES, ...RESET_PHASES]), ending(EVERY)))).toEqual([
      'pre-uninstall 2',
      'PreClean 2 PreClean 3 PreClean 4',
      'pre-clean-host 2 pre-clean-host 3 pre-clean-host 4',
      'PostClean 2 PostClean 3 PostClean 4',
      'post-clean-host 2 post-clean-host 3 post-clean-host 4',
      'post-uninstall 2',
    ]);
  });

  it('are run each time it is tried, and a cluster whose hook says no is not begun to be taken away', async () => {
    const [uninstall, clean] = makePlan(
      onlyHooks([...ASKING_PHASES, ...RESET_PHASES]),
      ending([shell('a', ['pre-uninstall', 'PreClean'])]),
    );
    expect(uninstall?.stopsAtFailure).toBe(true);
    expect(clean?.stopsAtFailure).toBe(false);
    expect(await uninstall?.steps[0]?.check?.(new AbortController().signal)).toEqual({ holds: false });
  });

  it('of nodes with labels ask the cluster; one that does not answer has none', async () => {
    const answers: (string | Error)[] = ['10.0.0.3\nm2\n', new Error('refused')];
    const asked: string[] = [];
    const driver = {
      kubectl: async (_: unknown, __: unknown, args: readonly string[]) => {
        asked.push(args.slice(0, 4).join(' '));
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        return { stdout: answer };
      },
    } as unknown as ResetWork['driver'];
    const chosen = async (phase: Phase<ResetWork>): Promise<boolean[]> => {
      const plugins = [shell('a', ['PreClean', 'PostClean'], { on: 'disk=ssd' })];
      const [plan] = makePlan([phase], { ...ending(plugins), driver });
      const signal = new AbortController().signal;
      return Promise.all((plan?.steps ?? []).map(async (step) => (await step.check?.(signal))?.holds === false));
    };
    expect(await chosen(preCleanHooksPhase)).toEqual([false, true, false]);
    expect(await chosen(postCleanHooksPhase)).toEqual([false, false, false]);
    expect(asked).toEqual(['get nodes -l disk=ssd', 'get nodes -l disk=ssd']);
  });
});

it('labels and taints of plugins are given with those of the hosts', () => {
  let given: ReadonlyMap<string, unknown> = new Map();
  const plugins = [shell('l', [], { type: 'LABEL', data: '10.0.0.4 disk=ssd' })];
  const { driver, ...rest } = work({ plugins });
  makePlan([marksPhase], {
    ...rest,
    begun: false,
    driver: {
      ...driver,
      mark: (_host, _cluster, marks) => {
        given = marks;
        return { title: 'label and taint the nodes', done: async () => true, run: async () => {} };
      },
    },
  });
  expect(given.get('10.0.0.4')).toEqual({ labels: { disk: 'ssd' }, taints: [] });
});
