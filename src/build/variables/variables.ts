import { formatPlatform, type Platform, thisPlatform } from '../../image/platform.js';
import type { Dialect } from '../../kubefile-parser/ast.js';
import type { StageState } from '../stages/stage.js';

/** Passed to RUN when set on this machine; never part of a cache key, an image or a history (Docker's predefined ARGs). */
export const PROXY_VARIABLES: readonly string[] = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'FTP_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
].flatMap((name) => [name, name.toLowerCase()]);

/** What a container without a PATH of its own gets (BuildKit and the OCI runtimes agree). */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Variables that say what is built for and where. `ARCH`, `OS` and `VARIANT` are sealer's; the others are BuildKit's global platform ARGs. */
export function platformVariables(target: Platform): Record<string, string> {
  const build = thisPlatform();
  return {
    OS: target.os,
    ARCH: target.architecture,
    VARIANT: target.variant ?? '',
    TARGETPLATFORM: formatPlatform(target),
    TARGETOS: target.os,
    TARGETARCH: target.architecture,
    TARGETVARIANT: target.variant ?? '',
    BUILDPLATFORM: formatPlatform(build),
    BUILDOS: build.os,
    BUILDARCH: build.architecture,
    BUILDVARIANT: build.variant ?? '',
  };
}

/**
 * How a stage comes to the platform variables: it sees them all, or, with Docker's rules, those of BuildKit once it has declared them.
 */
export function stageVariables(
  platform: Platform,
  dialect: Dialect,
): { readonly predefined: Record<string, string>; readonly declarable: Record<string, string> } {
  const all = platformVariables(platform);
  if (dialect === 'kubefile') return { predefined: all, declarable: all };
  const { ARCH: _arch, OS: _os, VARIANT: _variant, ...declarable } = all;
  return { predefined: {}, declarable };
}

type Variables = Pick<StageState, 'env' | 'args' | 'predefined'>;

/** What a name stands for in an instruction of a stage: ENV beats ARG, ARG beats what is predefined. */
export function lookupIn({ env, args, predefined }: Variables): (name: string) => string | undefined {
  return (name) => own(env, name) ?? own(args, name) ?? own(predefined, name);
}

/** The variables a RUN command gets, without the proxies. */
export function runVariables({ env, args, predefined }: Variables): Record<string, string> {
  return { ...predefined, ...args, ...env };
}

/** The value a map has under a name, however the name is called (`constructor`). */
export function own(map: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}
