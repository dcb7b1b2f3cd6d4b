import { gunzipSync, gzipSync } from 'node:zlib';
import { parse, stringify } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { registerSecret } from '../../base/redact.js';
import type { CommandResult, Host } from '../../hosts/host.js';
import { type CommandOptions, onHost, PASSING } from '../kubernetes/ask.js';
import { waitFor } from '../wait.js';
import { k0s } from './commands.js';
import { type K0sRole, PATHS } from './paths.js';

/** Longer than any join may take. */
const TOKEN_LIFE = '30m';

const kubeconfigSchema = z.looseObject({
  clusters: z.array(z.looseObject({ cluster: z.looseObject({ server: z.string() }) })).min(1),
  users: z.array(z.looseObject({ name: z.string(), user: z.looseObject({ token: z.string() }) })).min(1),
});

/** What a join token of k0s is for: base64 of a gzipped kubeconfig. */
export interface JoinToken {
  /** The part of it that may be known: `k0s token invalidate ID`. */
  readonly id: string;
  readonly secret: string;
  readonly server: string;
  readonly role: K0sRole | undefined;
}

/** Users of the kubeconfig inside a token. Source: k0s, pkg/token/kubeconfig.go. */
const USERS: Readonly<Record<string, K0sRole>> = {
  'controller-bootstrap': 'controller',
  'kubelet-bootstrap': 'worker',
};

/** Reads a token. Pure. @throws SlipwayError E_CLUSTER_STATE when it is none; the message does not have it. */
export function parseJoinToken(text: string): JoinToken {
  try {
    const config = kubeconfigSchema.parse(parse(gunzipSync(Buffer.from(text.trim(), 'base64')).toString('utf8')));
    const [user] = config.users;
    const [, id, secret] = /^([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(user?.user.token ?? '') ?? [];
    if (id === undefined || secret === undefined) throw new Error('no bootstrap token in it');
    return { id, secret, server: config.clusters[0]?.cluster.server ?? '', role: USERS[user?.name ?? ''] };
  } catch (cause) {
    throw new SlipwayError('E_CLUSTER_STATE', '"k0s token create" does not print a join token', { cause });
  }
}

/**
 * What stands in the place of a token that was used: of the same form and good for nothing. The service goes on naming the file, some
 * versions refuse to install it without one, and v1.35.1 does not start when what is in it is no token (k0s issue 7202).
 */
export const SPENT_TOKEN = gzipSync(
  stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'k0s', cluster: { server: 'https://127.0.0.1:6443' } }],
    contexts: [{ name: 'k0s', context: { cluster: 'k0s', user: 'kubelet-bootstrap' } }],
    'current-context': 'k0s',
    users: [{ name: 'kubelet-bootstrap', user: { token: 'spents.pentspentspentsp' } }],
  }),
).toString('base64');

/**
 * The token that a join has left on a host, because it was killed: the cluster may take it still. Undefined when there is none: no file, the
 * one that is good for nothing (by what it says, for another compressor packs the same in other bytes), or no token at all. Pure.
 */
export function leftToken(file: Buffer | undefined): JoinToken | undefined {
  if (file === undefined) return undefined;
  try {
    const token = parseJoinToken(file.toString('utf8'));
    return token.id === parseJoinToken(SPENT_TOKEN).id ? undefined : token;
  } catch {
    return undefined;
  }
}

/** Whether a join has left a token on a host. */
export async function hasLeftToken(host: Host): Promise<boolean> {
  return leftToken(await host.readFile(PATHS.token)) !== undefined;
}

/**
 * Has the cluster take the token no more that a killed join has left on a host, and takes it away there, in this order: what fails on the
 * way is seen, and done, by the next attempt.
 */
export async function takeLeftTokenBack(master: Host, host: Host, signal?: AbortSignal): Promise<void> {
  const file = await host.readFile(PATHS.token);
  const token = leftToken(file);
  if (file === undefined || token === undefined) return;
  registerSecret(file.toString('utf8').trim());
  registerSecret(token.secret);
  await waitFor(
    async () => {
      const { code, stderr } = await invalidate(master, token.id, signal);
      // Gone by itself, or of another cluster: as good.
      if (code === 0 || /"bootstrap-token-[^"]*" not found/.test(stderr)) return true;
      if (PASSING.test(stderr)) return undefined;
      throw new SlipwayError(
        'E_CLUSTER_STATE',
        `${master.address}: the join token ${token.id} that ${host.address} has of an earlier attempt cannot be taken back\n${stderr.trim()}`,
        {
          hint: `"k0s token invalidate ${token.id}" on ${master.address} takes it back; it expires by itself after ${TOKEN_LIFE}`,
        },
      );
    },
    {
      what: `${master.address} to take the join token ${token.id} back`,
      timeoutMs: 60_000,
      intervalMs: 2000,
      signal,
    },
  );
  await spend(host);
}

function invalidate(master: Host, id: string, signal?: AbortSignal): Promise<CommandResult> {
  return k0s(master, ['token', 'invalidate', id], { allowFailure: true, title: 'taking the join token back', signal });
}

function spend(host: Host): Promise<void> {
  return host.writeFile(PATHS.token, `${SPENT_TOKEN}\n`, { mode: 0o600 });
}

/**
 * Runs `work` when the host has a token that the cluster accepts for one join as `role`. Afterwards, whatever became of it, the cluster
 * accepts it no more and the host has none.
 */
export async function withJoinToken<T>(
  master: Host,
  host: Host,
  role: K0sRole,
  options: CommandOptions,
  work: () => Promise<T>,
): Promise<T> {
  const { text, id } = await createToken(master, role, options);
  try {
    await host.writeFile(PATHS.token, `${text}\n`, { mode: 0o600 });
    return await work();
  } finally {
    // One that cannot be taken back expires by itself.
    await invalidate(master, id).catch(() => undefined);
    await spend(host).catch(() => undefined);
  }
}

/** The token goes into a file and not to standard output: what commands print is logged. */
async function createToken(
  master: Host,
  role: K0sRole,
  options: CommandOptions,
): Promise<{ readonly text: string; readonly id: string }> {
  try {
    await onHost(
      master,
      undefined,
      `umask 077
mkdir -p ${PATHS.newToken.slice(0, PATHS.newToken.lastIndexOf('/'))}
${PATHS.binary} token create --role=${role} --expiry=${TOKEN_LIFE} >${PATHS.newToken}`,
      { timeoutMs: 180_000, ...options, title: `k0s token create --role=${role}` },
    );
    const text = (await master.readFile(PATHS.newToken))?.toString('utf8').trim() ?? '';
    registerSecret(text);
    const token = parseJoinToken(text);
    registerSecret(token.secret);
    if (token.role !== role) {
      throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: "k0s token create" made a token for another role`);
    }
    return { text, id: token.id };
  } finally {
    await master
      .run(
        `rm -f ${PATHS.newToken}\nrmdir ${PATHS.newToken.slice(0, PATHS.newToken.lastIndexOf('/'))} 2>/dev/null\ntrue`,
        { allowFailure: true, timeoutMs: 30_000, title: 'removing the join token' },
      )
      .catch(() => undefined);
  }
}
