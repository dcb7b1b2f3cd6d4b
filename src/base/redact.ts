const secrets = new Set<string>();

/**
 * Remembers a secret (password, token, key passphrase) so that {@link redact} takes it out of every message that
 * passes through. Values under four characters are not remembered: masking them would shred ordinary text.
 */
export function registerSecret(value: string | undefined): void {
  if (value !== undefined && value.length >= 4) secrets.add(value);
}

/** A token that is not shorter could be a word of our messages. */
const SHORTEST_TOKEN = 20;
/** A run of letters and digits, such as names and sentences do not have. */
const RANDOM_RUN = /(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12}/;
const DIGEST = /^(?:sha\d+:)?(?:[a-f0-9]{64}|[a-f0-9]{128})$/;

/**
 * {@link registerSecret} for a token that a server of somebody else has chosen. One that could be a part of what we say (a word, a name, a
 * digest) is not remembered: the server would decide what nobody may read.
 */
export function registerToken(value: string): void {
  if (value.length >= SHORTEST_TOKEN && RANDOM_RUN.test(value) && !DIGEST.test(value)) registerSecret(value);
}

/**
 * How many characters at the end of a text may be the beginning of a registered secret. Whoever gives a text out in pieces holds
 * them back for the next one: in two halves {@link redact} would not know the secret.
 */
export function startedSecret(text: string): number {
  let longest = 0;
  for (const secret of secrets)
    for (let length = Math.min(text.length, secret.length - 1); length > longest; length--)
      if (text.endsWith(secret.slice(0, length))) longest = length;
  return longest;
}

/** Takes registered secrets, credentials in URLs, and Authorization values out of a text. */
export function redact(text: string): string {
  let clean = text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@:]+(?::[^\s/@]*)?@/gi, '$1***@')
    .replace(/\b(authorization:\s*)(basic|bearer)\s+\S+/gi, '$1$2 ***');
  // Longer ones first: of a secret that begins another one the rest would be left.
  for (const secret of [...secrets].sort((a, b) => b.length - a.length)) clean = clean.replaceAll(secret, '***');
  return clean;
}
