import type { Mount } from './mount-types.js';
import type { CommandLine, Heredoc, KeyValue, StageOrImage, Word } from './parts.js';
import type { Span } from './position.js';
import type { Warning } from './problem.js';

/** `\` unless the file begins with `` # escape=` ``. */
export type EscapeCharacter = '\\' | '`';

/** `kubefile`: what a wildcard matches is copied under its own name; `docker`: Docker's rules to the letter. */
export type Dialect = 'kubefile' | 'docker';

export interface Directives {
  readonly escape: EscapeCharacter;
  readonly dialect: Dialect;
  /** `# syntax=…`, kept and not used. */
  readonly syntax?: string;
}

export interface Kubefile {
  /** The name the errors show. */
  readonly file: string;
  /** The text that was parsed, for `caret`: no byte order mark, lines end in `\n`. */
  readonly text: string;
  readonly directives: Directives;
  /** `ARG` before the first `FROM`: seen by `FROM`, and by a stage that declares the name again. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  readonly warnings: readonly Warning[];
}

export interface Stage {
  readonly from: FromInstruction;
  readonly instructions: readonly Instruction[];
}

interface Base<Kind extends string> {
  readonly kind: Kind;
  /** Of the keyword; `endLine` is the last line that belongs to the instruction, heredocs included. */
  readonly position: Span;
  /** As written, on one line: continuations joined, comment lines dropped, heredocs left away. */
  readonly source: string;
}

export interface FromInstruction extends Base<'FROM'> {
  /** Position among the stages. */
  readonly index: number;
  readonly platform?: Word;
  readonly image: Word;
  /** `AS name`, lower case. */
  readonly name?: string;
  /** Index of the earlier stage that `image` names. Absent for an image, and when `image` holds variables (then `findStage` tells, once expanded). */
  readonly stage?: number;
}

interface Transfer<Kind extends string> extends Base<Kind> {
  /** Paths; empty only when there are heredocs. Wildcards are not resolved. */
  readonly sources: readonly Word[];
  /** Files written in the Kubefile, each put at the destination under its name. */
  readonly heredocs: readonly Heredoc[];
  readonly destination: Word;
  readonly chown?: Word;
  readonly chmod?: Word;
  readonly exclude: readonly Word[];
  readonly link: boolean;
}

export interface CopyInstruction extends Transfer<'COPY'> {
  readonly from?: StageOrImage;
  readonly parents: boolean;
}

export interface AddInstruction extends Transfer<'ADD'> {
  readonly checksum?: Word;
  readonly keepGitDir: boolean;
}

export interface RunInstruction extends Base<'RUN'> {
  readonly command: CommandLine;
  /** What the `<<` markers in the text stand for; `runScript` puts them together for the shell. */
  readonly heredocs: readonly Heredoc[];
  readonly mounts: readonly Mount[];
  /** Absent: the builder's default. */
  readonly network?: 'host' | 'none';
  readonly isolation?: 'auto' | 'host' | 'container';
  readonly security?: 'insecure' | 'sandbox';
}

/** `BASE DIR cache`: collect the container images that DIR needs. */
export interface BaseInstruction extends Base<'BASE'> {
  readonly dir: Word;
  readonly cache: true;
}

export interface ArgInstruction extends Base<'ARG'> {
  readonly args: readonly { readonly name: Word; readonly default?: Word }[];
}

export interface EnvInstruction extends Base<'ENV'> {
  readonly pairs: readonly KeyValue[];
}

export interface LabelInstruction extends Base<'LABEL'> {
  readonly pairs: readonly KeyValue[];
}

export interface MaintainerInstruction extends Base<'MAINTAINER'> {
  /** The rest of the line, not expanded. */
  readonly name: string;
}

export interface WorkdirInstruction extends Base<'WORKDIR'> {
  /** The rest of the line, spaces and all. */
  readonly path: Word;
}

export interface UserInstruction extends Base<'USER'> {
  readonly user: Word;
}

export interface ShellInstruction extends Base<'SHELL'> {
  readonly shell: readonly string[];
}

export interface EntrypointInstruction extends Base<'ENTRYPOINT'> {
  /** An empty exec form takes the base image's entrypoint away. */
  readonly command: CommandLine;
}

/** One command to run after the cluster is up; may be repeated. */
export interface CmdInstruction extends Base<'CMD'> {
  readonly command: CommandLine;
}

/** Several commands for the shell, in order. */
export interface CmdsInstruction extends Base<'CMDS'> {
  readonly commands: readonly string[];
}

/** The applications to start, by name. */
export interface LaunchInstruction extends Base<'LAUNCH'> {
  readonly apps: readonly string[];
}

/** `APP`, `CNI`, `CSI`: an application and where its files are (`local://`, `http(s)://`, `oci://`, `helm://`). */
export interface AppInstruction extends Base<'APP' | 'CNI' | 'CSI'> {
  readonly name: Word;
  readonly sources: readonly Word[];
}

export interface AppCmdsInstruction extends Base<'APPCMDS'> {
  readonly name: Word;
  /** Commands for the shell, not expanded. */
  readonly commands: readonly string[];
}

export interface AppEnvInstruction extends Base<'APPENV'> {
  readonly name: Word;
  readonly pairs: readonly KeyValue[];
}

export interface KubeVersionInstruction extends Base<'KUBEVERSION'> {
  /** A semver constraint. */
  readonly constraint: Word;
}

/** A Docker instruction that means nothing in a ClusterImage; there is a warning for it. */
export interface IgnoredInstruction extends Base<'IGNORED'> {
  readonly name: 'EXPOSE' | 'VOLUME' | 'HEALTHCHECK' | 'ONBUILD' | 'STOPSIGNAL';
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
}

/** Everything that can stand inside a stage. */
export type Instruction =
  | CopyInstruction
  | AddInstruction
  | RunInstruction
  | BaseInstruction
  | ArgInstruction
  | EnvInstruction
  | LabelInstruction
  | MaintainerInstruction
  | WorkdirInstruction
  | UserInstruction
  | ShellInstruction
  | EntrypointInstruction
  | CmdInstruction
  | CmdsInstruction
  | LaunchInstruction
  | AppInstruction
  | AppCmdsInstruction
  | AppEnvInstruction
  | KubeVersionInstruction
  | IgnoredInstruction;
