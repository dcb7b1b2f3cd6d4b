import { errnoOf, messageOf, SlipwayError } from '../base/errors.js';
import { isLoopback } from './host.js';

/**
 * Why an exchange broke off: `connect` nobody answers at that address, `name` the name cannot be resolved, `tls` the certificate or the
 * handshake, `plain` the peer does not speak TLS, `broken` the connection was lost, `silent` nothing came for too long, `garbled` what came is
 * not HTTP, `other` none of these.
 */
export type FailureKind = 'connect' | 'name' | 'tls' | 'plain' | 'broken' | 'silent' | 'garbled' | 'other';

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
  UND_ERR_HEADERS_OVERFLOW: 'garbled',
};

const TLS_CODE =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|EPROTO$|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH|CRL_)/;

/** Sorts what undici and node:tls throw. */
export function failureKind(error: unknown): FailureKind {
  for (let cause = error; typeof cause === 'object' && cause !== null; cause = 'cause' in cause ? cause.cause : null) {
    if (cause instanceof Error && cause.name === 'HTTPParserError') return 'garbled';
    const code = errnoOf(cause);
    if (code === undefined) continue;
    // OpenSSL's reason is only in the text when the error comes from the handshake.
    if (code === 'EPROTO' && /wrong version number|packet length too long|http request/i.test(messageOf(cause)))
      return 'plain';
    if (code.startsWith('HPE_')) return 'garbled';
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
  garbled: 'what answers does not speak HTTP as it should',
  other: 'the exchange failed',
};

/** The error for an exchange that broke off. `what` says what was being done, such as `fetching manifest v1 of k8s`. */
export function networkError(host: string, what: string, cause: unknown): SlipwayError {
  const kind = failureKind(cause);
  const detail = rootMessage(cause);
  return new SlipwayError(
    'E_REGISTRY_UNREACHABLE',
    `${host}: ${what}: ${WHY[kind]}${detail === '' ? '' : ` (${detail})`}`,
    { hint: hintFor(kind, host, cause), cause, details: { registry: host, kind } },
  );
}

function hintFor(kind: FailureKind, host: string, cause: unknown): string {
  switch (kind) {
    case 'tls':
      return tlsHint(host, cause);
    case 'plain':
      return 'if the registry has no TLS, add --plain-http';
    case 'name':
      // What somebody forgot to write, more often than a name server that is down.
      return host === 'docker.io'
        ? 'a name without a registry is one of docker.io: write the registry in front of it (localhost:5000/NAME), or let a mirror stand for docker.io (docs/config.md)'
        : 'check the spelling of the host and the name server; or let a mirror stand for it (docs/config.md)';
    case 'connect':
      return isLoopback(host)
        ? `is a registry listening there? Start one with: slipway registry serve --listen ${host}`
        : 'check the address, the port and the firewall';
    case 'garbled':
      return `is a registry listening at ${host}? A proxy between may also spoil answers`;
    default:
      return 'try again; blobs that have arrived are kept';
  }
}

/** What is wrong with a certificate is different work for different people. */
function tlsHint(host: string, error: unknown): string {
  const code = tlsCode(error);
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return "have the registry's certificate renewed; or is the clock of this machine wrong?";
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `the certificate is for other names than ${host}: use one of them, or have it made for this one`;
  if (/CERT_REVOKED/.test(code)) return 'the certificate was revoked: have the registry give a new one';
  // Alerts come from the registry: it does not like what we showed it.
  if (/ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_|UNSUPPORTED_CERTIFICATE)/.test(code))
    return `the registry wants a client certificate: put NAME.cert and NAME.key into /etc/docker/certs.d/${host}/, or name their directory with --cert-dir`;
  if (/PROTOCOL|HANDSHAKE_FAILURE|KEY_TOO_SMALL|MD_TOO_WEAK/.test(code))
    return 'the registry offers only TLS that is not safe any more, or wants a client certificate (--cert-dir)';
  return `put the registry's CA into /etc/docker/certs.d/${host}/ca.crt, or name its directory with --cert-dir; --insecure-skip-verify trusts anybody`;
}

function tlsCode(error: unknown): string {
  for (let cause = error; typeof cause === 'object' && cause !== null; cause = 'cause' in cause ? cause.cause : null) {
    const code = errnoOf(cause);
    if (code !== undefined && TLS_CODE.test(code)) return code;
  }
  return '';
}

/** The innermost text: undici wraps what the socket said, and happy eyeballs wraps one error for each address. */
function rootMessage(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return rootMessage(error.errors[0]);
  if (error instanceof Error && error.cause instanceof Error) return rootMessage(error.cause);
  return messageOf(error).trim().split('\n', 1)[0] ?? '';
}
