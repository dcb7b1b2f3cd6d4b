import { randomBytes } from 'node:crypto';
import { open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { zodProblems } from '../base/zod-error.js';

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
 * docker's and containers' usual places.
 */
export function authFilePaths(env: NodeJS.ProcessEnv): readonly string[] {
  const given = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const [home, dockerConfig, runtimeDir] = [given('HOME'), given('DOCKER_CONFIG'), given('XDG_RUNTIME_DIR')];
  const paths = [
    dockerConfig === undefined ? undefined : join(dockerConfig, 'config.json'),
    given('REGISTRY_AUTH_FILE'),
    dockerConfig !== undefined || home === undefined ? undefined : join(home, '.docker', 'config.json'),
    runtimeDir === undefined ? undefined : join(runtimeDir, 'containers', 'auth.json'),
  ];
  return [...new Set(paths.filter((path) => path !== undefined))];
}

/**
 * Reads one credentials file; undefined when there is none.
 * @throws SlipwayError E_USAGE when it is malformed, E_PERMISSION.
 */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw fileSystemError(error, `reading the registry credentials in ${path}`);
  }
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not the parser's message: it quotes the text, and the text holds passwords.
    throw malformed(path, 'not valid JSON');
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) throw malformed(path, zodProblems(parsed.error));
  return parsed.data;
}

/**
 * Changes a credentials file: readable by its owner alone, replaced whole, other fields kept. A symbolic link stays one.
 * @throws SlipwayError E_USAGE when the file is malformed, E_PERMISSION, E_NO_SPACE.
 */
export async function changeAuthFile(path: string, change: (file: AuthFile) => AuthFile): Promise<void> {
  const before = (await readAuthFile(path)) ?? {};
  const after = change(before);
  try {
    await makeDirectory(dirname(path), 0o700);
    const target = await realpath(path).catch(() => path);
    const temp = `${target}.${randomBytes(6).toString('hex')}`;
    const handle = await open(temp, 'wx', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(after, null, '\t')}\n`);
      await handle.sync();
      await handle.close();
      await rename(temp, target);
    } catch (error) {
      await handle.close().catch(() => {});
      await rm(temp, { force: true });
      throw error;
    }
  } catch (error) {
    throw fileSystemError(error, `writing the registry credentials to ${path}`);
  }
}

function malformed(path: string, why: string): SlipwayError {
  return new SlipwayError('E_USAGE', `cannot read the registry credentials in ${path}: ${why}`, {
    hint: 'mend the file, or move it away and log in again',
  });
}
