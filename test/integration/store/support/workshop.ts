import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { mountPointsBelow } from '../../../../src/layers/mount-table.js';
import { checkStore } from '../../../../src/store/check/check.js';
import { Store } from '../../../../src/store/store.js';
import { compileFaults, type FaultPlan, type FaultyRun, slipwayWithFaults } from '../../../support/faults/faults.js';
import { type Ended, slipway } from '../../../support/slipway.js';
import { startDockerRegistry } from '../../registry/support/docker-registry.js';
import { must, run } from '../../registry/support/programs.js';
import { copyTree, makeTemplates, type Place, type Scenario, scenarios } from './scenarios.js';

/** What may be in a store's root. */
const KNOWN = new Set(
  'oci-layout index.json index.lock users.lock blobs tocs data cache tmp damaged config.yaml'.split(' '),
);

/** What a store has, to be compared with what it has later. */
export interface Contents {
  readonly names: Readonly<Record<string, string>>;
  readonly damaged: readonly string[];
}

/** Runs commands on copies of prepared stores, with faults. */
export interface Workshop {
  readonly scenarios: readonly Scenario[];
  /** A place in which a scenario can begin, and what is in its store. */
  begin(scenario: Scenario): Promise<{ readonly place: Place; readonly before: Contents }>;
  /** Runs the command. The kinds and numbers of its plan are about its store and what it writes beside. */
  run(scenario: Scenario, place: Place, plan: Omit<FaultPlan, 'below'>): Promise<FaultyRun>;
  /** Runs the command without any fault. */
  again(scenario: Scenario, place: Place): Promise<Ended>;
  /** Takes away what is left of it. */
  end(place: Place): Promise<void>;
  close(): Promise<void>;
}

/** @param home a directory of its own; a file system in memory is mounted there, for speed. */
export async function openWorkshop(home: string): Promise<Workshop> {
  await must('mount', ['-t', 'tmpfs', '-o', 'size=2g,mode=755', 'tmpfs', home]);
  const registry = await startDockerRegistry();
  const closed = await startDockerRegistry({ users: { ann: 'secret' } });
  const surroundings = { home, registry, closed };
  const library = compileFaults(home);
  const templates = await makeTemplates(surroundings);
  const pinned = { SOURCE_DATE_EPOCH: '1700000000' };
  let places = 0;
  return {
    scenarios: scenarios(surroundings),
    async begin({ template, prepare }) {
      const id = places++;
      const dir = join(home, 'places', String(id));
      const place = { id, root: join(dir, 'store'), out: join(dir, 'out') };
      mkdirSync(place.out, { recursive: true });
      if (template !== 'empty') await copyTree(templates[template], place.root);
      await prepare?.(place);
      return { place, before: template === 'empty' ? { names: {}, damaged: [] } : await contentsOf(place.root) };
    },
    run(scenario, place, plan) {
      const { args, env, stdin } = scenario;
      return slipwayWithFaults(
        library,
        join(place.out, `../notes-${plan.at}`),
        { ...plan, below: [place.root, place.out] },
        [...args(place), '--progress', 'none', '--json'],
        {
          root: place.root,
          env: { ...pinned, ...env?.(place) },
          ...(stdin === undefined ? {} : { stdin }),
        },
      );
    },
    again: ({ args, env, stdin }, place) =>
      slipway([...args(place), '--progress', 'none'], {
        root: place.root,
        env: { ...pinned, ...env?.(place) },
        ...(stdin === undefined ? {} : { stdin }),
      }),
    async end({ out }) {
      const dir = join(out, '..');
      for (const mounted of await mountPointsBelow(dir)) await run('umount', ['-l', mounted]);
      await must('rm', ['-rf', dir]);
    },
    async close() {
      await registry.close();
      await closed.close();
      for (const mounted of await mountPointsBelow(home)) await run('umount', ['-l', mounted]);
    },
  };
}

export async function contentsOf(root: string): Promise<Contents> {
  const store = await Store.open(root);
  try {
    const { report } = await checkStore(store, { content: true });
    const names = Object.fromEntries(
      (await store.readableImages()).map(({ name, descriptor }) => [name, descriptor.digest]),
    );
    return { names, damaged: report.damaged.map(({ kind, id }) => `${kind} ${id}`) };
  } finally {
    await store.close();
  }
}

/** A store is as whole as it was before, and has what it had but for what the command is about. */
export async function expectWhole({ changes = /^$/, damaged = false }: Scenario, before: Contents, place: Place) {
  const { names, damaged: found } = await contentsOf(place.root);
  const damage = damaged ? found.filter((one) => !before.damaged.includes(one)) : found;
  expect(damage, damage.join('\n')).toEqual([]);
  for (const [name, digest] of Object.entries(before.names))
    if (!changes.test(name)) expect(names[name], name).toBe(digest);
  for (const name of Object.keys(names)) if (!(name in before.names)) expect(name, 'a new name').toMatch(changes);
}

/** The next command that writes leaves nothing in `tmp/` but the beginnings of downloads, no mount, and nothing strange in the root. */
export async function expectSwept({ root }: Place): Promise<void> {
  const store = await Store.open(root);
  await store.temp.path('something');
  await store.close();
  expect(readdirSync(store.temp.root).filter((name) => !name.startsWith('partial-'))).toEqual([]);
  expect(await mountPointsBelow(store.temp.root)).toEqual([]);
  expect(readdirSync(root).filter((name) => !KNOWN.has(name) && !name.startsWith('index.json.damaged-'))).toEqual([]);
}
