import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { pathToBytes } from '../../layers/path-bytes.js';
import type { HostPaths } from '../state/cluster-paths.js';
import type { WantedFile } from './rootfs.js';

const TRANSFER_TIMEOUT_MS = 6 * 60 * 60_000;
const IDLE_TIMEOUT_MS = 2 * 60_000;
const READY_TIMEOUT_MS = 30_000;
/** What a tar adds to each file (two headers, a long name, padding) and to its end, generously. */
const TAR_OVERHEAD = 8 * 1024;

/** Files that one host gives another. */
export interface PeerTransfer {
  /** Has them in its rootfs. */
  readonly from: Host;
  readonly to: Host;
  readonly paths: HostPaths;
  readonly files: readonly WantedFile[];
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes that have arrived since the last call, every two seconds or so. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Lets one host fetch files of the rootfs from another, over a connection between the two. They arrive in `incoming/files`; that they are
 * what they should be is for whoever uses them to verify.
 *
 * The one that gives listens on its own address with a socket of systemd, for one connection that knows a word which both were told over
 * SSH; it sends the list of files that it was given, over SSH as well, and nothing else. The socket goes with the command that made it, so
 * with our connection to that host.
 * @throws SlipwayError E_HOST_COMMAND, E_TIMEOUT … when they cannot reach each other, or less arrived than should have.
 */
export async function fetchFromPeer(transfer: PeerTransfer): Promise<void> {
  const token = randomBytes(24).toString('hex');
  const end = new AbortController();
  const stop = (): void => end.abort();
  const server = serve(transfer, token, end.signal);
  try {
    await fetch(transfer, token, await server.listening);
  } finally {
    stop();
    await server.ended;
  }
}

interface PeerServer {
  /** Its port. */
  readonly listening: Promise<number>;
  /** Never rejects. */
  readonly ended: Promise<void>;
}

function serve({ from, paths, files, signal }: PeerTransfer, token: string, end: AbortSignal): PeerServer {
  const stdin = new PassThrough();
  const names = nameList(files);
  stdin.write(names);
  end.addEventListener('abort', () => stdin.end(), { once: true });
  let printed = '';
  let ready: (port: number) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const listening = new Promise<number>((resolve, reject) => {
    ready = resolve;
    fail = reject;
  });
  listening.catch(() => {});
  const late = setTimeout(
    () => fail(new SlipwayError('E_TIMEOUT', `host ${from.address} does not begin to serve files`)),
    READY_TIMEOUT_MS,
  );
  const ended = from
    .run(serveScript(from.address, paths, names.length), {
      title: 'serving the rootfs to another host',
      env: { SLIPWAY_TOKEN: token },
      stdin,
      timeoutMs: TRANSFER_TIMEOUT_MS,
      onOutput: (text, stream) => {
        if (stream !== 'stdout' || printed.length > 1000) return;
        printed += text;
        const port = /^port=(\d+)\n/m.exec(printed)?.[1];
        if (port !== undefined) ready(Number(port));
      },
      ...(signal === undefined ? {} : { signal }),
    })
    .then(() => fail(new SlipwayError('E_HOST_COMMAND', `host ${from.address} ended serving before it began`)), fail)
    .finally(() => clearTimeout(late));
  return { listening, ended };
}

/** The names end with a NUL each; what follows them on standard input is nothing, until the end. */
function serveScript(address: string, { rootfs }: HostPaths, bytes: number): string {
  return `set -e
umask 077
dir=$(mktemp -d /run/slipway-serve-XXXXXXXX)
name=\${dir##*/}
unit=/run/systemd/system/$name
# Whoever ends this gives it a few seconds: what needs no waiting comes first, and nothing is waited for.
end() {
  trap '' TERM INT HUP PIPE
  rm -rf "$dir" "$unit.socket" "$unit@.service"
  systemctl stop --no-block "$name.socket" "$name@*.service"
  systemctl daemon-reload --no-block
} >/dev/null 2>&1
trap end EXIT
trap 'exit 1' TERM INT HUP PIPE
head -c ${bytes} >"$dir/names"
printf '%s\\n' "$SLIPWAY_TOKEN" >"$dir/token"
cat >"$dir/serve" <<'END_OF_PROGRAM'
cd "\${0%/*}"
IFS= read -r -t 30 word && IFS= read -r token <token && [ "$word" = "$token" ] || exit 1
exec tar -c -f - --no-recursion -C ${shellQuote(rootfs)} --null -T "$PWD/names"
END_OF_PROGRAM
mkdir -p /run/systemd/system
cat >"$unit@.service" <<END_OF_UNIT
[Unit]
Description=Slipway serves files of the rootfs to another host
CollectMode=inactive-or-failed
[Service]
ExecStart=/bin/bash $dir/serve
StandardInput=socket
StandardOutput=socket
StandardError=journal
END_OF_UNIT
tries=0
while :; do
  port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
  cat >"$unit.socket" <<END_OF_UNIT
[Unit]
Description=Slipway serves files of the rootfs to another host
[Socket]
ListenStream=${address.includes(':') ? `[${address}]` : address}:$port
Accept=yes
MaxConnections=1
END_OF_UNIT
  systemctl daemon-reload
  if systemctl start "$name.socket"; then break; fi
  tries=$((tries + 1))
  [ $tries -lt 5 ]
done
echo "port=$port"
cat >/dev/null`;
}

async function fetch(
  { from, to, paths, files, signal, onBytes = () => {} }: PeerTransfer,
  token: string,
  port: number,
): Promise<void> {
  let arrived = 0;
  let pending = '';
  await to.run(fetchScript(from.address, port, paths, files), {
    title: `fetching the rootfs from ${from.address}`,
    env: { SLIPWAY_TOKEN: token },
    timeoutMs: TRANSFER_TIMEOUT_MS,
    // Only what grows is said, so silence is a transfer that stands still.
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    onOutput: (text, stream) => {
      if (stream !== 'stdout') return;
      const lines = (pending + text).split('\n');
      pending = lines.pop() ?? '';
      for (const line of lines) {
        const now = 1024 * Number(/^arrived=(\d+)$/.exec(line)?.[1] ?? 0);
        if (now > arrived) onBytes(now - arrived);
        arrived = Math.max(arrived, now);
      }
    },
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Attributes are not taken from the other host: only contents can be verified. */
function fetchScript(
  address: string,
  port: number,
  { base, incoming }: HostPaths,
  files: readonly WantedFile[],
): string {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const most = bytes + (files.length + 16) * TAR_OVERHEAD;
  return `set -e
umask 077
mkdir -p ${shellQuote(base)}
rm -rf ${shellQuote(incoming)}
mkdir -m 700 ${shellQuote(incoming)}
mkdir -m 755 ${shellQuote(`${incoming}/files`)}
cd ${shellQuote(`${incoming}/files`)}
free=$(df -Pk . | awk 'NR == 2 { print $4 }')
[ "\${free:-0}" -ge ${Math.ceil(bytes / 1024)} ] || { echo "no space left: $free kB are free, ${Math.ceil(bytes / 1024)} kB are to come" >&2; exit 1; }
(
  last=0
  while sleep 2; do
    now=$(du -sk . 2>/dev/null | awk '{ print $1 }')
    if [ "\${now:-0}" -gt $last ]; then last=$now; echo "arrived=$now"; fi
  done
) 2>/dev/null &
watch=$!
trap 'kill $watch 2>/dev/null' EXIT
bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "%s\\n" "$SLIPWAY_TOKEN" >&3 && exec head -c "$2" <&3' ${shellQuote(address)} ${port} ${most} |
  tar -x -f - --no-same-owner --no-same-permissions -m
[ -z "$(find . ! -type f ! -type d | head -n 1)" ]
count=$(find . -type f -print0 | tr -dc '\\0' | wc -c)
[ "$count" -eq ${files.length} ] || { echo "$count of ${files.length} files arrived" >&2; exit 1; }`;
}

function nameList(files: readonly WantedFile[]): Buffer {
  return Buffer.concat(files.map(({ path }) => Buffer.concat([pathToBytes(`./${path}`), Buffer.of(0)])));
}
