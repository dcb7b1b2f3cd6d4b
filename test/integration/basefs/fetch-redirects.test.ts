import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** What `published` of download.sh, which asks for a checksum, gives curl. */
function askedOfCurl(base: string, url: string): string {
  const script = fileURLToPath(new URL(`../../../basefs/${base}/fetch/download.sh`, import.meta.url));
  const sum = 'a'.repeat(64);
  return execFileSync(
    'bash',
    ['-c', `. "$0"; curl() { echo "$*" >&2; echo ${sum}; }; published "$1" sums.txt file 2>&1`, script, url],
    { encoding: 'utf8' },
  );
}

it.each(['k0s', 'k3s', 'kubernetes'])(
  '%s: a checksum that is asked for over TLS is taken from nobody without',
  (base) => {
    expect(askedOfCurl(base, 'https://github.com')).toContain('--proto-redir =https');
    expect(askedOfCurl(base, 'http://mirror.lan')).not.toContain('--proto-redir');
  },
);
