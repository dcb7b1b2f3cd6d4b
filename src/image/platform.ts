import { SlipwayError } from '../base/errors.js';
import { suggest } from '../base/suggest.js';

/** A platform as in the OCI image index: GOOS, GOARCH and the CPU variant. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

const PART = /^[a-z0-9_.]+$/;

/** Names that people and `uname -m` use, and what Go and OCI call them. containerd's platforms.Normalize. */
const ARCHITECTURES: Readonly<Record<string, readonly [string, string?]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
  armv7l: ['arm', 'v7'],
  armv6l: ['arm', 'v6'],
  i386: ['386'],
  i686: ['386'],
};

/** GOARCH values that containers exist for. A misspelt one must not become an image that nothing can run. */
const KNOWN_ARCHITECTURES = ['386', 'amd64', 'arm', 'arm64', 'loong64', 'mips64le', 'ppc64le', 'riscv64', 's390x'];

/**
 * Reads `linux/amd64`, `linux/arm/v7`, or an architecture alone (`arm64`, linux is meant); `x86_64` and `aarch64` are understood.
 * arm64's default variant v8 is dropped and arm's default v7 is filled in, so that equal platforms are equal texts.
 * @throws SlipwayError E_INVALID_PLATFORM
 */
export function parsePlatform(text: string): Platform {
  const parts = text.trim().toLowerCase().split('/');
  if (parts.length === 1) parts.unshift('linux');
  const [os, arch, variant] = parts;
  if (
    parts.length > 3 ||
    !os ||
    !arch ||
    ![os, arch, variant ?? 'x'].every((part) => PART.test(part) || part in ARCHITECTURES)
  ) {
    throw new SlipwayError('E_INVALID_PLATFORM', `invalid platform ${JSON.stringify(text)}`, {
      hint: 'write os/architecture[/variant], for example linux/amd64 or linux/arm/v7',
    });
  }
  const platform = normalizePlatform({ os, architecture: arch, variant });
  if (!KNOWN_ARCHITECTURES.includes(platform.architecture)) {
    const near = suggest(platform.architecture, KNOWN_ARCHITECTURES);
    throw new SlipwayError('E_INVALID_PLATFORM', `unknown architecture ${JSON.stringify(arch)}`, {
      hint: near === undefined ? `one of ${KNOWN_ARCHITECTURES.join(', ')}` : `did you mean ${near}?`,
    });
  }
  return platform;
}

/** One spelling per platform; see {@link parsePlatform}. */
export function normalizePlatform({ os, architecture, variant }: Platform): Platform {
  const [arch, implied] = ARCHITECTURES[architecture] ?? [architecture];
  const wanted = variant || implied;
  if (arch === 'arm64')
    return wanted === undefined || wanted === 'v8'
      ? { os, architecture: arch }
      : { os, architecture: arch, variant: wanted };
  if (arch === 'arm') return { os, architecture: arch, variant: wanted ?? 'v7' };
  return wanted === undefined ? { os, architecture: arch } : { os, architecture: arch, variant: wanted };
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`;
}

export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(normalizePlatform(a)) === formatPlatform(normalizePlatform(b));
}

/** The platform of the machine this process runs on. Containers are always linux. */
export function thisPlatform(): Platform {
  const architecture = { x64: 'amd64', ia32: '386' }[process.arch as string] ?? process.arch;
  return normalizePlatform({ os: 'linux', architecture });
}
