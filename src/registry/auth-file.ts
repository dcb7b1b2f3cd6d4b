import { existsSync } from 'node:fs';
import { chown, readFile, readlink, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import { errnoOf, fileSystemError, isSlipwayError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { zodProblems } from '../base/zod-error.js';
import { replaceWholeFile } from '../store/replaced-file.js';

/** Symbolic links that are followed one after the other, as the kernel does. */
const MOST_LINKS = 40;

const entrySchema = z.looseObject({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
});
export type AuthEntry = z.infer<typeof entrySchema>;

const record = <T extends z.ZodType>(value: T) =>
  z.preprocess((given) => given ?? undefined, z.record(z.string(), value).optional());

/** docker's `config.json` and containers-auth.json(5). Fields that are not ours are kept when the file is written. */
const fileSchema = z.looseObject({
  auths: record(entrySchema),
  credHelpers: record(z.string()),
  credsStore: z.string().optional(),
});
export type AuthFile = z.infer<typeof fileSchema>;

/**
 * The files that may hold credentials, the most explicit first: those that a variable names (`DOCKER_CONFIG`, `REGISTRY_AUTH_FILE`), then
 * docker's and containers' usual places; containers-auth.json(5).
 */
export function authFilePaths(env: NodeJS.ProcessEnv, uid: number = process.getuid?.() ?? 0): readonly string[] {
  const [home, runtime, config] = ['HOME', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME'].map((name) => given(env, name));
  const settings = config ?? (home && join(home, '.config'));
  const paths = [
    ...ownFilePaths(env),
    runtime === undefined ? ifReachable(`/run/containers/${uid}/auth.json`) : join(runtime, 'containers', 'auth.json'),
    settings && join(settings, 'containers', 'auth.json'),
  ];
  return [...new Set(paths.filter((path) => path !== undefined))];
}

/** The file that `login` writes to: of those that docker reads, or `REGISTRY_AUTH_FILE`. Undefined when there is no home either. */
export function loginFilePath(env: NodeJS.ProcessEnv): string | undefined {
  return ownFilePaths(env)[0];
}

function ownFilePaths(env: NodeJS.ProcessEnv): readonly string[] {
  const [home, dockerConfig, file] = ['HOME', 'DOCKER_CONFIG', 'REGISTRY_AUTH_FILE'].map((name) => given(env, name));
  const paths = [
    dockerConfig && join(dockerConfig, 'config.json'),
    file,
    dockerConfig === undefined && home !== undefined ? join(home, '.docker', 'config.json') : undefined,
  ];
  return paths.filter((path) => path !== undefined);
}

/** A place that nobody named may lie in a directory of root: that is no error. */
function ifReachable(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}

function given(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name];
}

/**
 * Reads one credentials file; undefined when there is none.
 * @throws SlipwayError E_USAGE when it is malformed, E_PERMISSION.
 */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  return (await read(path))?.file;
}

/** @returns `file`: what we know of it; `whole`: as it is written there. */
async function read(path: string): Promise<{ readonly file: AuthFile; readonly whole: object } | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw fileSystemError(error, `reading the registry credentials in ${path}`);
  }
  if (text.trim() === '') return { file: {}, whole: {} };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not the parser's message: it quotes the text, and the text holds passwords.
    throw malformed(path, 'not valid JSON');
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) throw malformed(path, zodProblems(parsed.error));
  return { file: parsed.data, whole: value as object };
}

/**
 * Changes the `auths` of a credentials file: readable by its owner alone, replaced whole, other fields kept as they are. A symbolic link stays
 * one, and root leaves the file to whom it belongs.
 * @throws SlipwayError E_USAGE when the file is malformed, E_PERMISSION, E_NO_SPACE.
 */
export async function changeAuths(
  path: string,
  change: (auths: NonNullable<AuthFile['auths']>) => NonNullable<AuthFile['auths']>,
): Promise<void> {
  const { file, whole } = (await read(path)) ?? { file: {}, whole: {} };
  const after = { ...whole, auths: change(file.auths ?? {}) };
  try {
    const target = await linkTarget(path);
    await makeDirectory(dirname(target), 0o700);
    const owner = await stat(target).catch(() => undefined);
    await replaceWholeFile(target, 0o600, async (temp) => {
      await writeFile(temp, `${JSON.stringify(after, null, '\t')}\n`, { flush: true });
      if (owner !== undefined && process.getuid?.() === 0) await chown(temp, owner.uid, owner.gid);
    });
  } catch (error) {
    const failure = fileSystemError(error, `writing the registry credentials to ${path}`);
    if (!isSlipwayError(failure, 'E_PERMISSION')) throw failure;
    throw new SlipwayError('E_PERMISSION', failure.message, {
      hint: 'nothing was changed; DOCKER_CONFIG names another directory for them',
      cause: error,
    });
  }
}

/** Where the file is, or is to be made: behind all links, also those that lead to nothing yet. */
async function linkTarget(path: string): Promise<string> {
  let target = path;
  for (let hops = 0; hops < MOST_LINKS; hops++) {
    const next = await readlink(target).catch(() => undefined);
    if (next === undefined) return target;
    target = resolve(await realpath(dirname(target)), next);
  }
  return target;
}

function malformed(path: string, why: string): SlipwayError {
  return new SlipwayError('E_USAGE', `cannot read the registry credentials in ${path}: ${why}`, {
    hint: 'mend the file, or move it away and log in again',
  });
}
