import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../../base/errors.js';
import { possibleOwners } from '../../base/id-map.js';
import { removeTree } from '../../base/remove-tree.js';
import { userNamespace } from '../../base/user-namespace.js';
import { withCleanup } from '../../base/with-cleanup.js';
import { formatPlatform } from '../../image/platform.js';
import type { RunInstruction } from '../../kubefile-parser/ast.js';
import { type RunScript, runScript } from '../../kubefile-parser/run-script.js';
import type { MergedTree } from '../../layers/merge.js';
import type { StoredLayer } from '../../store/layer-store.js';
import type { BuildJob } from '../job.js';
import { createdTime } from '../job.js';
import { makeLayer } from '../make-layer.js';
import { instructionDone, type Outcome } from '../outcome.js';
import { at } from '../place.js';
import { chooseIsolation } from '../sandbox/isolation.js';
import { createRunOutput } from '../sandbox/output.js';
import { runSandboxed } from '../sandbox/sandbox.js';
import type { SandboxMount, SandboxRequest } from '../sandbox/sandbox-request.js';
import { nextKey, type StageState, stageTree } from '../stages/stage.js';
import { expander } from '../variables/expand.js';
import { lookupIn, PROXY_VARIABLES, runVariables } from '../variables/variables.js';
import { requireRunnable } from './foreign-platform.js';
import { planMounts } from './mounts/plan-mounts.js';
import type { PlannedMount } from './mounts/planned-mount.js';
import { type MadeMounts, withMounts } from './mounts/with-mounts.js';
import { runFailed, runStopped } from './run-failure.js';
import { runEntries } from './run-layer.js';
import { openWritableTree, type WritableTree } from './writable-tree.js';

/** Where the command finds a RUN that is a whole script, for as long as it runs. */
const SCRIPT_PLACE = '/tmp/slipway-run-script';

/** Why a `chown` may have failed. */
const ONE_USER =
  'this user has no other users to give files to: subordinate ids do that (usermod --add-subuids, --add-subgids; package uidmap)';

/** A RUN with everything about it decided. */
interface RunPlan {
  readonly script: RunScript;
  readonly argv: readonly string[];
  readonly isolation: 'host' | 'container';
  readonly network: 'host' | 'none';
  readonly mounts: readonly PlannedMount[];
  /** Without the proxies. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * RUN: the command runs over the stage's layers, merged and writable, and what it changed becomes a layer. Cached by chain: the parent, the
 * command, its shell, user, working directory, the variables it sees, its mounts, platform, isolation and network.
 */
export async function runRun(
  job: BuildJob,
  state: StageState,
  instruction: RunInstruction,
  step: string,
): Promise<Outcome> {
  return at(job, instruction.position, async () => {
    const tree = await stageTree(job.store, state);
    const plan = await planRun(job, state, instruction, tree);
    const scope = scopeOf(job, state, plan);
    const record = job.useCache ? await job.cache.get(scope, scope) : undefined;
    if (record !== undefined)
      return instructionDone(state, instruction, record.layers, scope, { cached: true, created: record.created });

    await requireRights();
    if (plan.isolation === 'container') await requireRunnable(job.store, state.platform);
    const created = createdTime(job);
    const layers = await execute(job, state, plan, tree, step);
    await job.cache.put(scope, scope, { layers, created });
    return instructionDone(state, instruction, layers, scope, { cached: false, created });
  });
}

async function planRun(
  job: BuildJob,
  state: StageState,
  instruction: RunInstruction,
  tree: MergedTree,
): Promise<RunPlan> {
  const script = runScript(instruction);
  const argv =
    script.kind === 'exec' ? script.args : script.kind === 'shell' ? [...state.shell, script.text] : [SCRIPT_PLACE];
  const isolation = chooseIsolation(
    instruction.isolation ?? job.isolation,
    script.kind === 'exec' ? argv : script.kind === 'shell' ? state.shell : interpreterOf(script.content),
    (path) => {
      const found = tree.resolve(path).found;
      return found !== undefined && found.entry.type !== 'dir';
    },
  );
  return {
    script,
    argv,
    isolation,
    network: instruction.network ?? job.network,
    mounts: await planMounts(job, instruction.mounts, expander(job, lookupIn(state))),
    env: runVariables(state),
  };
}

function scopeOf(
  job: BuildJob,
  state: StageState,
  { script, isolation, network, mounts, env }: RunPlan,
): ReturnType<typeof nextKey> {
  const visible = Object.fromEntries(Object.entries(env).filter(([name]) => !PROXY_VARIABLES.includes(name)));
  return nextKey(
    state.key,
    'RUN',
    script,
    state.shell,
    visible,
    state.user,
    state.workdir,
    formatPlatform(state.platform),
    isolation,
    network,
    mounts.map(({ key }) => key),
    [job.compression, job.compressionLevel, job.epoch],
  );
}

/** Runs the command and packs what it changed. Whatever happens, nothing stays mounted and nothing of it stays on the disk. */
async function execute(
  job: BuildJob,
  state: StageState,
  plan: RunPlan,
  tree: MergedTree,
  step: string,
): Promise<readonly StoredLayer[]> {
  const home = await job.store.temp.path('run');
  const work = async (): Promise<readonly StoredLayer[]> => {
    await mkdir(home, { mode: 0o700 });
    return withMounts(job, plan.mounts, async (made) => {
      const writable = await openWritableTree(job, state.layers, tree, home);
      return withCleanup(
        async () => {
          await job.heavy(() => run(job, state, plan, made, writable, home, step));
          const changed = await runEntries(job, writable);
          return changed.length === 0 ? [] : [(await makeLayer(job, changed, { title: `${step} layer` })).layer];
        },
        () => writable.release(),
      );
    });
  };
  return withCleanup(work, () => removeTree(home));
}

/** @throws SlipwayError E_RUN_FAILED, E_TIMEOUT, E_NO_SPACE with the last lines of the command; whatever the sandbox throws */
async function run(
  job: BuildJob,
  state: StageState,
  { script, argv, isolation, network, env }: RunPlan,
  made: MadeMounts,
  { dir }: WritableTree,
  home: string,
  step: string,
): Promise<void> {
  const scratch = join(home, 'scratch');
  await mkdir(scratch, { mode: 0o700 });
  const output = createRunOutput(step, (line) => job.reporter.info(line));
  const request: SandboxRequest = {
    rootfs: dir,
    isolation,
    argv,
    env: { ...proxies(job), ...env, ...made.variables },
    cwd: state.workdir,
    ...(state.user === '' ? {} : { user: state.user }),
    network,
    mounts: [...made.mounts, ...(script.kind === 'file' ? [await scriptMount(scratch, script.content)] : [])],
    onOutput: (chunk, stream) => output.push(chunk, stream),
    ...(job.runTimeoutMs === undefined ? {} : { timeoutMs: job.runTimeoutMs }),
    signal: job.signal,
    scratch,
    hide: [job.store.root],
  };
  let ended: Awaited<ReturnType<typeof runSandboxed>>;
  try {
    ended = await runSandboxed(request);
  } catch (error) {
    output.end();
    throw runStopped(error, job.runTimeoutMs, output.tail());
  }
  output.end();
  job.signal.throwIfAborted();
  if (ended.code !== 0)
    throw await runFailed(request, ended, output.tail(), possibleOwners() === 'single' ? ONE_USER : undefined);
}

/** @throws SlipwayError that says what an unprivileged user lacks; see {@link userNamespace} */
async function requireRights(): Promise<void> {
  if (process.getuid?.() === 0) return;
  const namespace = await userNamespace();
  if ('missing' in namespace) {
    const { code, message, hint } = namespace.missing;
    throw new SlipwayError(code, `RUN without root needs a user namespace: ${message}`, {
      hint: `${hint}; or build as root`,
      cause: namespace.missing,
    });
  }
}

/** docker's predefined ARGs: those given to the build, else those of this process. Never part of a cache key. */
function proxies({ buildArgs }: BuildJob): Record<string, string> {
  return Object.fromEntries(
    PROXY_VARIABLES.flatMap((name) => {
      const value = buildArgs[name] ?? process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** The first words of a `#!` line: what the rootfs must have for the script to run in it. */
function interpreterOf(content: string): readonly string[] {
  return content.slice(2, content.indexOf('\n')).trim().split(/\s+/);
}

async function scriptMount(scratch: string, content: string): Promise<SandboxMount> {
  const source = join(scratch, 'script');
  await writeFile(source, content);
  await chmod(source, 0o755);
  return { type: 'bind', source, target: SCRIPT_PLACE, readonly: true };
}
