/**
 * System calls that no RUN command gets, in both modes and with both engines, nor the process that writes unpacked files.
 *
 * A list of what is denied, not Docker's list of what is allowed: (1) runc takes names and bwrap a BPF program of
 * numbers, and one list of fifty serves both where an allow list would need every number of every architecture;
 * (2) the fence is made of namespaces, dropped capabilities and read-only mounts: this list takes away the calls that would
 * reach round them (new namespaces, mounts, handles, keyrings, kernel programs); (3) an allow list that is not kept
 * up breaks new programs (faccessat2, clone3, openat2 did). It denies what Docker's default denies to a container without added capabilities,
 * except NUMA placement and `personality`, which are no way out. Calls newer than this list are unknown to bwrap's filter and
 * answer ENOSYS there.
 */
export interface SeccompRule {
  readonly names: readonly string[];
  /** What the call answers. ENOSYS where programs have an older call to fall back to. */
  readonly errno: number;
  /** Deny only when this argument has one of these values, or one of these bits. */
  readonly when?: { readonly argument: number; readonly equals: readonly number[] } | ArgumentBits;
}

interface ArgumentBits {
  readonly argument: number;
  readonly anyBit: readonly number[];
}

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NAMESPACE_FLAGS = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];

const AF_ALG = 38;
const AF_VSOCK = 40;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;

export const DENIED_CALLS: readonly SeccompRule[] = [
  // Mounts: the old call, the new ones, and what goes with them.
  {
    names: ['mount', 'umount', 'umount2', 'pivot_root', 'mount_setattr', 'move_mount', 'open_tree', 'open_tree_attr'],
    errno: EPERM,
  },
  { names: ['fsconfig', 'fsmount', 'fsopen', 'fspick', 'swapon', 'swapoff', 'quotactl', 'quotactl_fd'], errno: EPERM },
  // Files of any mount by handle, whatever the mount namespace shows.
  { names: ['open_by_handle_at', 'name_to_handle_at'], errno: EPERM },
  // New namespaces give every capability inside them, and so the whole attack surface of the kernel. clone3 hides its flags from a filter.
  { names: ['unshare', 'setns'], errno: EPERM },
  { names: ['clone'], errno: EPERM, when: { argument: 0, anyBit: NAMESPACE_FLAGS } },
  { names: ['clone3'], errno: ENOSYS },
  // Keyrings are not in a namespace: keys of the machine's root would be readable.
  { names: ['add_key', 'request_key', 'keyctl'], errno: EPERM },
  // Programs and pages inside the kernel. io_uring makes calls that no filter sees.
  { names: ['bpf', 'perf_event_open', 'userfaultfd', 'lookup_dcookie', 'kcmp', 'fanotify_init'], errno: EPERM },
  { names: ['io_uring_setup', 'io_uring_enter', 'io_uring_register'], errno: ENOSYS },
  { names: ['init_module', 'finit_module', 'delete_module', 'kexec_load', 'kexec_file_load'], errno: EPERM },
  {
    names: ['create_module', 'get_kernel_syms', 'query_module', 'nfsservctl', 'uselib', '_sysctl', 'sysfs', 'ustat'],
    errno: ENOSYS,
  },
  // The machine itself: clock, name, power, accounting, kernel log, I/O ports, terminals.
  { names: ['settimeofday', 'stime', 'clock_settime', 'sethostname', 'setdomainname', 'reboot', 'acct'], errno: EPERM },
  { names: ['syslog', 'ioperm', 'iopl', 'vm86', 'vm86old', 'vhangup'], errno: EPERM },
  // Typing into the terminal that slipway was started from.
  { names: ['ioctl'], errno: EPERM, when: { argument: 1, equals: [TIOCSTI, TIOCLINUX] } },
  // VSOCK talks to the hypervisor past every network namespace; ALG is kernel cryptography that user space does as well.
  { names: ['socket'], errno: EAFNOSUPPORT, when: { argument: 0, equals: [AF_ALG, AF_VSOCK] } },
];

/** What a filter of numbers has to know about one architecture. */
export interface SeccompArchitecture {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly auditArch: number;
  /** The newest call that existed when this table was written (Linux 6.17); what is above answers ENOSYS. */
  readonly lastCall: number;
  readonly numbers: Readonly<Record<string, number>>;
}

/** Calls that have the same number on every architecture (424 and above do). */
const COMMON_NUMBERS = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  clone3: 435,
  mount_setattr: 442,
  quotactl_fd: 443,
  open_tree_attr: 467,
};

/** By Node's `process.arch`. A denied name without a number does not exist there. Sources: asm/unistd_64.h, asm-generic/unistd.h. */
export const SECCOMP_ARCHITECTURES: Readonly<Record<string, SeccompArchitecture>> = {
  x64: {
    auditArch: 0xc000003e,
    lastCall: 469,
    numbers: {
      ...COMMON_NUMBERS,
      ioctl: 16,
      socket: 41,
      clone: 56,
      syslog: 103,
      uselib: 134,
      ustat: 136,
      sysfs: 139,
      vhangup: 153,
      pivot_root: 155,
      _sysctl: 156,
      acct: 163,
      settimeofday: 164,
      mount: 165,
      umount2: 166,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      sethostname: 170,
      setdomainname: 171,
      iopl: 172,
      ioperm: 173,
      create_module: 174,
      init_module: 175,
      delete_module: 176,
      get_kernel_syms: 177,
      query_module: 178,
      quotactl: 179,
      nfsservctl: 180,
      lookup_dcookie: 212,
      clock_settime: 227,
      kexec_load: 246,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      unshare: 272,
      perf_event_open: 298,
      fanotify_init: 300,
      name_to_handle_at: 303,
      open_by_handle_at: 304,
      setns: 308,
      kcmp: 312,
      finit_module: 313,
      kexec_file_load: 320,
      bpf: 321,
      userfaultfd: 323,
    },
  },
  arm64: {
    auditArch: 0xc00000b7,
    lastCall: 469,
    numbers: {
      ...COMMON_NUMBERS,
      lookup_dcookie: 18,
      ioctl: 29,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      nfsservctl: 42,
      vhangup: 58,
      quotactl: 60,
      acct: 89,
      unshare: 97,
      kexec_load: 104,
      init_module: 105,
      delete_module: 106,
      clock_settime: 112,
      syslog: 116,
      reboot: 142,
      sethostname: 161,
      setdomainname: 162,
      settimeofday: 170,
      socket: 198,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      clone: 220,
      swapon: 224,
      swapoff: 225,
      perf_event_open: 241,
      fanotify_init: 262,
      name_to_handle_at: 264,
      open_by_handle_at: 265,
      setns: 268,
      kcmp: 272,
      finit_module: 273,
      bpf: 280,
      userfaultfd: 282,
      kexec_file_load: 294,
    },
  },
};
