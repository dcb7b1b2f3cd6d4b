import { SlipwayError } from '../base/errors.js';
import type { Host } from '../hosts/host.js';

/** One line of /etc/hosts. */
export interface HostsEntry {
  readonly address: string;
  readonly names: readonly string[];
}

/** The name by which every node of a cluster of kubeadm reaches the API servers. */
export const API_SERVER_NAME = 'apiserver.cluster.local';

const FILE = '/etc/hosts';
/** How a block begins. */
const ANY_BEGIN = '# BEGIN slipway ';

/**
 * The text of an /etc/hosts file in which our block of this name says exactly `entries`; no entries takes the block away. The block
 * stays where it is, a new one comes at the end. Everything outside of our markers is left byte for byte as it is. Of a block whose end
 * somebody deleted only the first line is surely ours: what follows it stays.
 * @param block letters, digits and `-`: `apiserver`, `registry`.
 */
export function withHostsBlock(text: string, block: string, entries: readonly HostsEntry[]): string {
  const begin = `${ANY_BEGIN}${block}`;
  const end = `# END slipway ${block}`;
  let ours =
    entries.length === 0 ? [] : [begin, ...entries.map(({ address, names }) => `${address} ${names.join(' ')}`), end];
  const lines: string[] = [];
  const all = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  for (let at = 0; at < all.length; at++) {
    const line = all[at] ?? '';
    if (line.trimEnd() !== begin) {
      lines.push(line);
      continue;
    }
    lines.push(...ours);
    ours = [];
    const close = all.findIndex((one, index) => index > at && (one.trimEnd() === end || one.startsWith(ANY_BEGIN)));
    if (close < 0 || all[close]?.startsWith(ANY_BEGIN)) {
      if (all[at + 1]?.startsWith('#') === false) at++;
    } else {
      // Our lines are address and names only.
      lines.push(...all.slice(at, close).filter((one) => one.startsWith('#') && one.trimEnd() !== begin));
      at = close;
    }
  }
  lines.push(...ours);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** Whether the host's /etc/hosts says `entries` in our block already. */
export async function hasHostsBlock(host: Host, block: string, entries: readonly HostsEntry[]): Promise<boolean> {
  const text = await readHosts(host);
  return text === withHostsBlock(text, block, entries);
}

/**
 * Makes our block of the host's /etc/hosts say `entries`; none takes it away. Nothing is written when it does already.
 * @throws SlipwayError as {@link Host}.
 */
export async function setHostsBlock(host: Host, block: string, entries: readonly HostsEntry[]): Promise<void> {
  if (!/^[A-Za-z0-9-]+$/.test(block))
    throw new SlipwayError('E_INTERNAL', `not a name for an /etc/hosts block: ${block}`);
  const text = await readHosts(host);
  const wanted = withHostsBlock(text, block, entries);
  if (wanted !== text) await host.writeFile(FILE, wanted, { mode: 0o644 });
}

async function readHosts(host: Host): Promise<string> {
  return (await host.readFile(FILE))?.toString('utf8') ?? '';
}
