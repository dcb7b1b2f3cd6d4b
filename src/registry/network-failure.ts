import { errnoOf, messageOf, SlipwayError } from '../base/errors.js';
import { isLoopback } from './host.js';

/**
 * Why an exchange broke off: `connect` nobody answers at that address, `name` the name cannot be resolved, `tls` the certificate or the
 * handshake, `plain` the peer does not speak TLS, `broken` the connection was lost, `silent` nothing came for too long, `other` none of
 * these.
 */
export type FailureKind = 'connect' | 'name' | 'tls' | 'plain' | 'broken' | 'silent' | 'other';

const KINDS: Readonly<Record<string, FailureKind>> = {
  ECONNREFUSED: 'connect',
  EHOSTUNREACH: 'connect',
  ENETUNREACH: 'connect',
  EHOSTDOWN: 'connect',
  EADDRNOTAVAIL: 'connect',
  UND_ERR_CONNECT_TIMEOUT: 'connect',
  ENOTFOUND: 'name',
  EAI_FAIL: 'name',
  EAI_NODATA: 'name',
  EAI_AGAIN: 'name',
  ECONNRESET: 'broken',
  EPIPE: 'broken',
  ECONNABORTED: 'broken',
  UND_ERR_SOCKET: 'broken',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'broken',
  UND_ERR_INFO: 'broken',
  UND_ERR_CLOSED: 'broken',
  UND_ERR_DESTROYED: 'broken',
  ETIMEDOUT: 'silent',
  UND_ERR_HEADERS_TIMEOUT: 'silent',
  UND_ERR_BODY_TIMEOUT: 'silent',
  ERR_SSL_WRONG_VERSION_NUMBER: 'plain',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'plain',
  ERR_SSL_HTTP_REQUEST: 'plain',
};

const TLS_CODE =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|EPROTO$|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH|CRL_)/;

/** Sorts what undici and node:tls throw. */
export function failureKind(error: unknown): FailureKind {
  for (let cause = error; typeof cause === 'object' && cause !== null; cause = 'cause' in cause ? cause.cause : null) {
    const code = errnoOf(cause);
    if (code === undefined) continue;
    // OpenSSL's reason is only in the text when the error comes from the handshake.
    if (code === 'EPROTO' && /wrong version number|packet length too long|http request/i.test(messageOf(cause)))
      return 'plain';
    if (code.startsWith('HPE_')) return 'other';
    const kind = KINDS[code] ?? (TLS_CODE.test(code) ? 'tls' : undefined);
    if (kind !== undefined) return kind;
  }
  return 'other';
}

/**
 * True when doing the same again may help. An address that nobody answers at is given up at once, unless the same registry has
 * answered before (`reached`): then it is being restarted.
 */
export function isPassing(error: unknown, reached: boolean): boolean {
  const kind = failureKind(error);
  if (kind === 'broken' || kind === 'silent') return true;
  return kind === 'connect' ? reached : errnoOf(error) === 'EAI_AGAIN';
}

const WHY: Readonly<Record<FailureKind, string>> = {
  connect: 'nobody answers at that address',
  name: 'the host name cannot be resolved',
  tls: 'no trusted TLS connection',
  plain: 'the registry does not speak TLS',
  broken: 'the connection broke',
  silent: 'the registry stopped answering',
  other: 'the exchange failed',
};

/** The error for an exchange that broke off. `what` says what was being done, such as `fetching manifest v1 of k8s`. */
export function networkError(host: string, what: string, cause: unknown): SlipwayError {
  const kind = failureKind(cause);
  const detail = rootMessage(cause);
  return new SlipwayError(
    'E_REGISTRY_UNREACHABLE',
    `${host}: ${what}: ${WHY[kind]}${detail === '' ? '' : ` (${detail})`}`,
    { hint: hintFor(kind, host), cause, details: { registry: host, kind } },
  );
}

function hintFor(kind: FailureKind, host: string): string {
  switch (kind) {
    case 'tls':
      return `put the registry's CA into /etc/docker/certs.d/${host}/ca.crt, or name its directory with --cert-dir`;
    case 'plain':
      return 'if the registry has no TLS, add --plain-http';
    case 'name':
      return 'check the spelling of the host and the name server';
    case 'connect':
      return isLoopback(host)
        ? `is a registry listening there? Start one with: slipway registry serve --listen ${host}`
        : 'check the address, the port and the firewall';
    default:
      return 'try again; blobs that have arrived are kept';
  }
}

/** The innermost text: undici wraps what the socket said, and happy eyeballs wraps one error for each address. */
function rootMessage(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return rootMessage(error.errors[0]);
  if (error instanceof Error && error.cause instanceof Error) return rootMessage(error.cause);
  return messageOf(error).trim().split('\n', 1)[0] ?? '';
}
