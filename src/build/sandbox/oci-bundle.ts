import { canOwn, possibleOwners } from '../../base/id-map.js';
import { DENIED_CALLS, type SeccompRule } from '../../base/seccomp-profile.js';
import { type PlacedMount, SANDBOX_HOST_NAME } from './bwrap-arguments.js';
import { MASKED_PATHS, READONLY_PATHS } from './masked-paths.js';
import type { SandboxUser } from './rootfs-user.js';

const SECCOMP_ARCHITECTURE_NAMES: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  arm: ['SCMP_ARCH_ARM'],
  ppc64: ['SCMP_ARCH_PPC64LE'],
  s390x: ['SCMP_ARCH_S390X'],
  riscv64: ['SCMP_ARCH_RISCV64'],
};

export interface BundleOptions {
  readonly rootfs: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: SandboxUser;
  readonly network: 'host' | 'none';
  readonly capabilities: readonly string[];
  /** Those of the request and the network files. */
  readonly mounts: readonly PlacedMount[];
}

/**
 * The `config.json` of an OCI bundle (runtime-spec 1.0.2) for one RUN command. As Docker's default, a program may still gain
 * rights by setuid, up to the bounding set. No resources and no cgroup: see {@link RUNC_SCRIPT}. No oomScoreAdj: not every root may
 * lower it, and runc dies of that.
 */
export function ociConfig(options: BundleOptions): Readonly<Record<string, unknown>> {
  const { user, capabilities } = options;
  return {
    ociVersion: '1.0.2',
    hostname: SANDBOX_HOST_NAME,
    root: { path: options.rootfs, readonly: false },
    process: {
      terminal: false,
      user: { uid: user.uid, gid: user.gid, umask: 0o022, additionalGids: user.groups },
      args: options.argv,
      env: Object.entries(options.environment).map(([name, value]) => `${name}=${value}`),
      cwd: options.cwd,
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
      },
      noNewPrivileges: false,
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: [
          'nosuid',
          'noexec',
          'newinstance',
          'ptmxmode=0666',
          'mode=0620',
          // Where there is a group tty.
          ...(canOwn(0, 5) ? ['gid=5'] : []),
        ],
      },
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'shm',
        options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
      },
      { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
      systemFiles(),
      ...options.mounts.map(ociMount),
    ],
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'cgroup', ...(options.network === 'none' ? ['network'] : [])].map(
        (type) => ({
          type,
        }),
      ),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
      ...seccomp(process.arch),
    },
  };
}

/** In a user namespace sysfs can be mounted only by who has made the network namespace too. */
function systemFiles(): unknown {
  const safe = ['nosuid', 'noexec', 'nodev', 'ro'];
  return possibleOwners() === 'all'
    ? { destination: '/sys', type: 'sysfs', source: 'sysfs', options: safe }
    : { destination: '/sys', type: 'bind', source: '/sys', options: ['rbind', ...safe] };
}

function ociMount({ mount, place, source }: PlacedMount): unknown {
  const safe = ['nosuid', 'nodev'];
  switch (mount.type) {
    case 'tmpfs': {
      const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
      return { destination: place, type: 'tmpfs', source: 'tmpfs', options: [...safe, 'mode=1777', ...size] };
    }
    case 'bind':
      return { destination: place, type: 'bind', source, options: ['bind', mount.readonly ? 'ro' : 'rw', ...safe] };
    case 'secret':
      return { destination: place, type: 'bind', source, options: ['bind', 'ro', 'noexec', ...safe] };
  }
}

/** The denied calls in the words of runtime-spec's `linux.seccomp`. */
function seccomp(arch: string): Readonly<Record<string, unknown>> {
  const architectures = SECCOMP_ARCHITECTURE_NAMES[arch];
  if (architectures === undefined) return {};
  const syscalls = DENIED_CALLS.flatMap(rules);
  return { seccomp: { defaultAction: 'SCMP_ACT_ALLOW', architectures, syscalls } };
}

/** One entry for each condition: conditions within an entry would all have to hold. */
function rules({ names, errno, when }: SeccompRule): readonly unknown[] {
  const rule = { names, action: 'SCMP_ACT_ERRNO', errnoRet: errno };
  if (when === undefined) return [rule];
  const index = when.argument;
  return 'equals' in when
    ? when.equals.map((value) => ({
        ...rule,
        // Of these arguments the kernel looks at the lower half only; a set upper half must not pass the filter.
        args: [{ index, value: 0xffffffff, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' }],
      }))
    : when.anyBit.map((bit) => ({ ...rule, args: [{ index, value: bit, valueTwo: bit, op: 'SCMP_CMP_MASKED_EQ' }] }));
}
