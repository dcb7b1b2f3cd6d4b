import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../base/errors.js';
import { removeTree } from '../base/remove-tree.js';
import type { RunInstruction } from '../kubefile-parser/ast.js';
import { runScript } from '../kubefile-parser/run-script.js';
import { mountOverlay, unmount } from '../layers/overlay.js';
import { upperEntries } from '../layers/upper.js';
import { unpackedLayers } from '../store/layer-store.js';
import type { BuildJob } from './job.js';
import { createdTime } from './job.js';
import { makeLayer } from './make-layer.js';
import { instructionDone, type Outcome } from './outcome.js';
import { at } from './place.js';
import { chooseIsolation } from './run/isolation.js';
import { createRunOutput } from './run/output.js';
import { runSandboxed } from './run/sandbox.js';
import type { SandboxMount } from './run/sandbox-request.js';
import { nextKey, type StageState, stageTree } from './stage.js';
import { PROXY_VARIABLES, runVariables } from './variables.js';

/** Where the command finds a RUN that is a whole script, for as long as it runs. */
const SCRIPT_PLACE = '/tmp/slipway-run-script';

/**
 * RUN: the command runs over an overlay of the stage's layers, and what it changed becomes a layer. Cached by chain: the parent, the
 * command, its shell, user, working directory, the variables it sees, platform, isolation and network.
 */
export async function runRun(
  job: BuildJob,
  state: StageState,
  instruction: RunInstruction,
  step: string,
): Promise<Outcome> {
  return at(job, instruction.position, async () => {
    const tree = await stageTree(job.store, state);
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
    const network = instruction.network ?? job.network;
    const env = runVariables(state);
    const visible = Object.fromEntries(Object.entries(env).filter(([name]) => !PROXY_VARIABLES.includes(name)));
    const scope = nextKey(
      state.key,
      'RUN',
      script,
      state.shell,
      visible,
      state.user,
      state.workdir,
      isolation,
      network,
      [job.compression, job.compressionLevel, job.epoch],
    );
    const record = job.useCache ? await job.cache.get(scope, scope) : undefined;
    if (record !== undefined)
      return instructionDone(state, instruction, record.layers, scope, { cached: true, created: record.created });

    const created = createdTime(job);
    const layers = await inOverlay(job, state, async ({ rootfs, upper, scratch }) => {
      const output = createRunOutput(step, (line) => job.reporter.info(line));
      const ended = await runSandboxed({
        rootfs,
        isolation,
        argv,
        env: { ...proxies(), ...env },
        cwd: state.workdir,
        ...(state.user === '' ? {} : { user: state.user }),
        network,
        mounts: script.kind === 'file' ? [await scriptMount(scratch, script.content)] : [],
        onOutput: (chunk, stream) => output.push(chunk, stream),
        signal: job.signal,
        scratch,
        hide: [job.store.root],
      });
      output.end();
      job.signal.throwIfAborted();
      if (ended.code !== 0) throw runFailed(ended, output.tail(), isolation);
      const changed = await upperEntries(upper, tree);
      return changed.length === 0 ? [] : [(await makeLayer(job, changed, { title: `${step} layer` })).layer];
    });
    await job.cache.put(scope, scope, { layers, created });
    return instructionDone(state, instruction, layers, scope, { cached: false, created });
  });
}

interface RunOverlay {
  /** The stage, writable. */
  readonly rootfs: string;
  /** What was changed in it, in overlayfs form. */
  readonly upper: string;
  /** A private directory for whatever the sandbox needs. */
  readonly scratch: string;
}

/** Mounts the stage writable while `work` runs. Whatever happens, nothing stays mounted and nothing of it stays on the disk. */
async function inOverlay<T>(
  { store }: BuildJob,
  state: StageState,
  work: (overlay: RunOverlay) => Promise<T>,
): Promise<T> {
  const layers = await unpackedLayers(store, state.layers);
  const home = await store.temp.path('run');
  const place = {
    rootfs: join(home, 'rootfs'),
    upper: join(home, 'upper'),
    work: join(home, 'work'),
    scratch: join(home, 'scratch'),
  };
  for (const dir of Object.values(place)) await mkdir(dir, { recursive: true, mode: 0o755 });
  try {
    await mountOverlay({
      lower: layers.map(({ dir }) => dir),
      upper: place.upper,
      work: place.work,
      target: place.rootfs,
      scratch: place.scratch,
    });
    try {
      return await work(place);
    } finally {
      await unmount(place.rootfs);
    }
  } finally {
    await removeTree(home);
  }
}

function runFailed(
  { code, signal }: { readonly code: number; readonly signal?: string },
  lines: readonly string[],
  isolation: 'host' | 'container',
): SlipwayError {
  const how = signal === undefined ? `exit code ${code}` : `signal ${signal}`;
  const tail = lines.map((line) => `\n  | ${line}`).join('');
  return new SlipwayError(
    'E_RUN_FAILED',
    `the command ended with ${how}${tail === '' ? '' : `; its last lines:${tail}`}`,
    {
      hint:
        isolation === 'host'
          ? "it ran with this machine's tools and the rootfs as its directory (host isolation)"
          : 'it ran inside the rootfs (container isolation)',
      details: { exitCode: code },
    },
  );
}

function proxies(): Record<string, string> {
  return Object.fromEntries(
    PROXY_VARIABLES.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

/** The first words of a `#!` line: what the rootfs must have for the script to run in it. */
function interpreterOf(content: string): readonly string[] {
  return content.slice(2, content.indexOf('\n')).trim().split(/\s+/);
}

async function scriptMount(scratch: string, content: string): Promise<SandboxMount> {
  const source = join(scratch, 'script');
  await writeFile(source, content, { mode: 0o755 });
  return { type: 'bind', source, target: SCRIPT_PLACE, readonly: true };
}
