import { SlipwayError } from '../base/errors.js';
import type { Host } from '../hosts/host.js';

/** One line of /etc/hosts. */
export interface HostsEntry {
  readonly address: string;
  readonly names: readonly string[];
}

const FILE = '/etc/hosts';

/**
 * The text of an /etc/hosts file in which our block of this name says exactly `entries`; no entries takes the block away. The block
 * stays where it is, a new one comes at the end. Everything outside of our markers is left byte for byte as it is.
 * @param block letters, digits and `-`: `apiserver`, `registry`.
 */
export function withHostsBlock(text: string, block: string, entries: readonly HostsEntry[]): string {
  const begin = `# BEGIN slipway ${block}`;
  const end = `# END slipway ${block}`;
  let ours =
    entries.length === 0 ? [] : [begin, ...entries.map(({ address, names }) => `${address} ${names.join(' ')}`), end];
  const lines: string[] = [];
  let inside = false;
  for (const line of text === '' ? [] : text.replace(/\n$/, '').split('\n')) {
    const mark = line.trimEnd();
    if (mark === begin) {
      inside = true;
      lines.push(...ours);
      ours = [];
    } else if (inside && mark === end) inside = false;
    // A begin without its end (somebody edited the file) must not swallow what follows: our lines are address and names only.
    else if (!inside || line.startsWith('#')) lines.push(line);
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
