import type { Instruction } from '../ast.js';
import type { Keyword } from '../keywords.js';
import type { StatementReader } from '../statement-reader.js';
import { parseApp, parseAppCmds, parseAppEnv, parseKubeVersion } from './apps.js';
import { parseBase } from './base.js';
import { parseAdd, parseCopy } from './copy.js';
import { parseArg, parseEnv, parseLabel } from './key-values.js';
import { parseCmd, parseCmds, parseEntrypoint, parseLaunch, parseShell } from './launch.js';
import { parseRun } from './run.js';
import { parseIgnored, parseMaintainer, parseUser, parseWorkdir } from './whole-line.js';

/** Reads one instruction; undefined when it cannot be made out, and then that is reported. */
export type InstructionParser = (reader: StatementReader) => Instruction | undefined;

/** Every instruction but FROM, that begins a stage. */
export const INSTRUCTION_PARSERS: Readonly<Record<Exclude<Keyword, 'FROM'>, InstructionParser>> = {
  COPY: parseCopy,
  ADD: parseAdd,
  RUN: parseRun,
  BASE: parseBase,
  CMD: parseCmd,
  CMDS: parseCmds,
  LAUNCH: parseLaunch,
  ARG: parseArg,
  ENV: parseEnv,
  LABEL: parseLabel,
  MAINTAINER: parseMaintainer,
  WORKDIR: parseWorkdir,
  USER: parseUser,
  SHELL: parseShell,
  ENTRYPOINT: parseEntrypoint,
  APP: parseApp,
  CNI: parseApp,
  CSI: parseApp,
  APPCMDS: parseAppCmds,
  APPENV: parseAppEnv,
  KUBEVERSION: parseKubeVersion,
  EXPOSE: parseIgnored,
  VOLUME: parseIgnored,
  HEALTHCHECK: parseIgnored,
  ONBUILD: parseIgnored,
  STOPSIGNAL: parseIgnored,
};
