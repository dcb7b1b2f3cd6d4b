import { shellQuote } from '../hosts/shell-script.js';
import type { Digest } from '../image/digest.js';
import type { HostSetup } from './cluster-hosts/host-setup.js';
import { setupScripts } from './files/script-names.js';
import { inputsDigest } from './plan/step.js';
import { keepableEnv } from './state/kept-spec.js';
import { type InstallWork, programPath, type WorkHost } from './work.js';

const TIMEOUT_MS = 20 * 60_000;

/** The image's own scripts that set a host up: container runtime, kubelet, kernel settings. */
export interface SetupScripts {
  /** `init.sh` */
  readonly title: string;
  /** Identifies what a host is set up with: another digest means that it must be done again. */
  inputs(host: Pick<WorkHost, 'setupDigest' | 'env'>): Digest;
  run(host: WorkHost, signal: AbortSignal | undefined): Promise<void>;
  /** Notes on the host that it is set up, and on a node that it is back in the cluster. */
  note(host: WorkHost): Promise<void>;
}

/** Undefined when the image brings no such scripts. */
export function setupOf({
  image,
  spec,
  paths,
}: Pick<InstallWork, 'image' | 'spec' | 'paths'>): SetupScripts | undefined {
  const { domain, port } = spec.registry;
  const calls = setupScripts(image.rootfs.entries, { containerRuntime: image.containerRuntime, domain, port });
  if (calls.length === 0) return undefined;
  const title = calls.map(({ name }) => name).join(', ');
  const script = calls
    .map(({ name, args }) => ['bash', name, ...args.map(shellQuote)].join(' '))
    .map((command) => `${command} || exit $?`)
    .join('\n');
  const inputs: SetupScripts['inputs'] = ({ setupDigest, env }) => inputsDigest(setupDigest, script, keepableEnv(env));
  return {
    title,
    inputs,
    async run(one, signal) {
      await one.host.run(programPath(paths.rootfs) + script, {
        title,
        cwd: `${paths.rootfs}/scripts`,
        env: one.env,
        timeoutMs: TIMEOUT_MS,
        ...(signal === undefined ? {} : { signal }),
      });
    },
    async note(one) {
      const setup: HostSetup = { inputs: inputs(one), image: image.digest, version: image.version };
      await one.host.writeFile(paths.setup, `${JSON.stringify(setup)}\n`, { mode: 0o644 });
    },
  };
}

/**
 * Whether a host is a node already and must be set up anew: one after the other, not all at once. While a cluster is on its way to
 * another image every node is looked at: an earlier attempt may have stopped anywhere.
 */
export function isRolling(
  { setups, changing, setUpAgain }: Pick<InstallWork, 'setups' | 'changing' | 'setUpAgain'>,
  scripts: SetupScripts,
  host: Pick<WorkHost, 'address' | 'setupDigest' | 'env'>,
): boolean {
  if (!setups.has(host.address)) return false;
  return changing || setUpAgain || setups.get(host.address)?.inputs !== scripts.inputs(host);
}
