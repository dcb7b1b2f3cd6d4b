import { isIPv6 } from 'node:net';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';

/** Where the API server of a master listens, whatever the runtime. */
const PORT = 6443;

/**
 * Those of these names that the API server of a master cannot be known by: it is asked by each, and what it shows must be signed by the
 * CA and have the name. All of them where it does not answer. Whoever it lets in does not matter.
 * @param kubectl the words of the runtime's own kubectl: it is on every master, where curl and openssl may be missing
 */
export async function namesNotServed(
  master: Host,
  names: readonly string[],
  { kubectl, ca }: { readonly kubectl: readonly string[]; readonly ca: string },
): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const server = `https://${isIPv6(master.address) ? `[${master.address}]` : master.address}:${PORT}`;
  const command = [
    ...kubectl,
    '--kubeconfig=/dev/null',
    `--server=${server}`,
    `--certificate-authority=${ca}`,
    '--token=none',
    '--request-timeout=10s',
  ];
  const { stdout } = await master.run(
    `NO_PROXY='*'; export NO_PROXY
for name in ${names.map(shellQuote).join(' ')}; do
  if answer=$(${command.map(shellQuote).join(' ')} --tls-server-name="$name" get --raw=/version 2>&1 </dev/null); then echo "$name"
  else
    # An answer of any kind came through the connection that was verified.
    case $answer in *nauthorized* | *orbidden* | *credentials*) echo "$name" ;; esac
  fi
done
true`,
    { title: 'looking at the certificate that is served', timeoutMs: 30_000 + 15_000 * names.length },
  );
  const served = new Set(stdout.split('\n'));
  return names.filter((name) => !served.has(name));
}
