import { formatPlatform, type Platform, thisPlatform } from '../image/platform.js';
import type { StageState } from './stage.js';

/** Passed to RUN when set on this machine; never part of a cache key, an image or a history (Docker's predefined ARGs). */
export const PROXY_VARIABLES: readonly string[] = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'FTP_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
].flatMap((name) => [name, name.toLowerCase()]);

/** Variables every instruction sees without declaring them. `ARCH` is sealer's; the others are BuildKit's global platform ARGs. */
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

/** What a name stands for in an instruction of a stage: ENV beats ARG, ARG beats what is predefined. */
export function lookupIn({
  env,
  args,
  platform,
}: Pick<StageState, 'env' | 'args' | 'platform'>): (name: string) => string | undefined {
  const predefined = platformVariables(platform);
  return (name) => own(env, name) ?? own(args, name) ?? own(predefined, name);
}

/** The variables a RUN command gets, without the proxies. */
export function runVariables({
  env,
  args,
  platform,
}: Pick<StageState, 'env' | 'args' | 'platform'>): Record<string, string> {
  return { ...platformVariables(platform), ...args, ...env };
}

function own(map: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}
