import * as z from 'zod';
import { SlipwayError } from '../base/errors.js';
import { zodProblems } from '../base/zod-error.js';
import type { Host, HostFacts } from './host.js';
import { shellQuote } from './shell-script.js';

/** `uname -m` to GOARCH. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  amd64: 'amd64',
  aarch64: 'arm64',
  arm64: 'arm64',
  armv8l: 'arm',
  armv7l: 'arm',
  armv6l: 'arm',
  i386: '386',
  i486: '386',
  i586: '386',
  i686: '386',
  ppc64le: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
  loongarch64: 'loong64',
};

/**
 * The script that gathers all facts, as lines `name=value`. The clock first: its line is on its way while the rest is
 * still being looked for. Only POSIX sh, coreutils (or busybox) and /proc are needed: `ss` may be missing.
 */
export function factsScript({
  diskPath = '/var/lib',
  programs = [],
}: {
  readonly diskPath?: string | undefined;
  readonly programs?: readonly string[] | undefined;
} = {}): string {
  return `
echo "clock=$(date +%s.%N)"
LC_ALL=C; export LC_ALL
echo "uid=$(id -u)"
read -r hostname </proc/sys/kernel/hostname; echo "hostname=$hostname"
id=; { read -r id </etc/machine-id; } 2>/dev/null; echo "machineId=$id"
echo "machine=$(uname -m)"
read -r kernel </proc/sys/kernel/osrelease; echo "kernel=$kernel"
while IFS= read -r line; do case $line in PRETTY_NAME=*) echo "osRelease=$line" ;; esac; done </etc/os-release 2>/dev/null
echo "cpus=$(nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
while read -r name value unit; do [ "$name" = MemTotal: ] && echo "memoryKiB=$value"; done </proc/meminfo
path=${shellQuote(diskPath)}
while [ ! -d "$path" ] && [ "$path" != / ] && [ "$path" != . ]; do path=$(dirname "$path"); done
echo "disk=$(stat -f -c '%a %S' "$path")"
for table in /proc/net/tcp /proc/net/tcp6; do
  while read -r slot from to state rest; do [ "$state" = 0A ] && echo "listening=$from"; done <"$table"
done 2>/dev/null
for program in ${programs.map(shellQuote).join(' ')}; do
  command -v "$program" >/dev/null 2>&1 && echo "program=$program"
done
[ -d /run/systemd/system ] && echo systemd=1
while read -r name rest; do [ "$name" != Filename ] && echo swap=1; done </proc/swaps 2>/dev/null
echo end=1
`;
}

const whole = z.string().regex(/^\d+$/).transform(Number);

const factsSchema = z.object({
  clock: z.string().regex(/^\d+(\.\d*)?/, 'is not a time'),
  uid: whole,
  hostname: z.string().min(1),
  machineId: z.string(),
  machine: z.string().min(1),
  kernel: z.string().min(1),
  osRelease: z.string().optional(),
  cpus: whole,
  memoryKiB: whole,
  disk: z.string().regex(/^\d+ \d+$/, 'is not two numbers'),
  systemd: z.literal('1').optional(),
  swap: z.literal('1').optional(),
  end: z.literal('1'),
});

/**
 * Reads what {@link factsScript} printed.
 * @param nowMs this machine's clock (ms since 1970) at the moment when the host read its own
 * @throws SlipwayError E_HOST_COMMAND when a fact is missing or malformed
 */
export function parseFacts(address: string, text: string, nowMs: number): HostFacts {
  const single: Record<string, string> = {};
  const listening: string[] = [];
  const programs: string[] = [];
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at < 0) continue;
    const name = line.slice(0, at);
    const value = line.slice(at + 1);
    if (name === 'listening') listening.push(value);
    else if (name === 'program') programs.push(value);
    else single[name] = value;
  }
  const parsed = factsSchema.safeParse(single);
  if (!parsed.success) {
    throw new SlipwayError(
      'E_HOST_COMMAND',
      `host ${address}: its facts cannot be read: ${zodProblems(parsed.error)}`,
      {
        hint: 'the host needs a POSIX sh, coreutils or busybox, and /proc',
      },
    );
  }
  const facts = parsed.data;
  const [blocks = 0, blockSize = 0] = facts.disk.split(' ').map(Number);
  return {
    hostname: facts.hostname,
    machineId: facts.machineId,
    architecture: ARCHITECTURES[facts.machine] ?? facts.machine,
    osName: osNameOf(facts.osRelease),
    kernel: facts.kernel,
    clockSkewMs: Math.round(Number.parseFloat(facts.clock) * 1000 - nowMs),
    cpus: facts.cpus,
    memoryBytes: facts.memoryKiB * 1024,
    diskFreeBytes: blocks * blockSize,
    listeningPorts: portsOf(listening),
    programs,
    uid: facts.uid,
    systemd: facts.systemd !== undefined,
    swapOn: facts.swap !== undefined,
  };
}

/** Asks a connected host for its facts. */
export async function gatherFacts(
  host: Pick<Host, 'address' | 'run'>,
  options: { readonly diskPath?: string; readonly programs?: readonly string[] } = {},
): Promise<HostFacts> {
  const asked = Date.now();
  let answered: number | undefined;
  const { stdout } = await host.run(factsScript(options), {
    title: 'gather facts',
    timeoutMs: 60_000,
    onOutput: () => {
      answered ??= Date.now();
    },
  });
  return parseFacts(host.address, stdout, (asked + (answered ?? Date.now())) / 2);
}

/** `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"` to its value; os-release(5) is shell syntax. */
function osNameOf(line: string | undefined): string {
  const value = line?.replace(/^PRETTY_NAME=/, '').trim() ?? '';
  const quoted = /^(["'])(.*)\1$/.exec(value)?.[2] ?? value;
  return value.startsWith("'") ? quoted : quoted.replace(/\\(.)/g, '$1');
}

/** `0100007F:1F90` (address and port in hexadecimal, proc(5)) to sorted port numbers, each once. */
function portsOf(addresses: readonly string[]): readonly number[] {
  const ports = addresses.map((address) => Number.parseInt(address.slice(address.lastIndexOf(':') + 1), 16));
  return [...new Set(ports.filter((port) => port > 0))].sort((a, b) => a - b);
}
