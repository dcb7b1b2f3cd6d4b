import * as z from 'zod';
import { type ErrorCode, type ErrorDetails, SlipwayError } from '../base/errors.js';
import { formatDuration } from '../base/format.js';
import { isPassingStatus, LONGEST_WAIT } from './retry.js';

/** One entry of distribution-spec's error document. */
export interface ReportedError {
  readonly code: string;
  readonly message: string;
}

const errorDocument = z.object({
  errors: z.array(
    z.looseObject({
      code: z.string().catch('UNKNOWN'),
      message: z.string().catch(''),
      detail: z.unknown().optional(),
    }),
  ),
});

/** What a request was for: names the parties in its error. */
export interface Purpose {
  /** `name[:port]` of the registry. */
  readonly host: string;
  readonly method: string;
  /** What was being done to which thing: `fetching manifest v1 of k8s/base`. */
  readonly what: string;
  readonly repository?: string | undefined;
  /** Whether the request carried credentials or a token. */
  readonly proven?: boolean;
}

/** A registry that answered with an error. */
export class RegistryError extends SlipwayError {
  readonly status: number;
  readonly reported: readonly ReportedError[];
  /** Milliseconds that the registry asks to wait, when it does. */
  readonly retryAfter: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    answer: {
      readonly status: number;
      readonly reported: readonly ReportedError[];
      readonly retryAfter?: number | undefined;
    },
    details: ErrorDetails,
  ) {
    super(code, message, details);
    this.status = answer.status;
    this.reported = answer.reported;
    this.retryAfter = answer.retryAfter;
  }

  /** True when the same request may succeed later: worth repeating. */
  get passing(): boolean {
    return isPassingStatus(this.status) && (this.retryAfter ?? 0) <= LONGEST_WAIT;
  }

  /** True when the registry named this error, such as `DIGEST_INVALID`. */
  reports(code: string): boolean {
    return this.reported.some((entry) => entry.code === code);
  }
}

/** Reads the error document of distribution-spec; anything else gives what can be shown of it in one line. */
export function parseErrorBody(bytes: Uint8Array): readonly ReportedError[] {
  const text = Buffer.from(bytes).toString('utf8');
  try {
    return errorDocument.parse(JSON.parse(text)).errors.map(({ code, message, detail }) => ({
      code,
      message: [message, typeof detail === 'string' ? detail : ''].filter((part) => part !== '').join(': '),
    }));
  } catch {
    const line = oneLine(text);
    return line === '' || line.startsWith('<') ? [] : [{ code: 'UNKNOWN', message: line }];
  }
}

/** The error for an answer with an error status. */
export function responseError(purpose: Purpose, status: number, body: Uint8Array, retryAfter?: number): RegistryError {
  const { host, method, what, repository } = purpose;
  const reported = parseErrorBody(body);
  const said = reported
    .map(({ code, message }) => (code === 'UNKNOWN' ? message : message === '' ? code : `${code}: ${message}`))
    .filter((text) => text !== '')
    .map(oneLine)
    .join('; ');
  const code = errorCode(status, reported);
  const hint = hintFor(code, status, purpose, retryAfter);
  return new RegistryError(
    code,
    `${host}: ${what}: ${method} answered ${status}${said === '' ? '' : ` (${said})`}`,
    { status, reported, retryAfter },
    {
      ...(hint === undefined ? {} : { hint }),
      details: {
        registry: host,
        method,
        ...(repository === undefined ? {} : { repository }),
        status,
        errors: reported,
      },
    },
  );
}

function errorCode(status: number, reported: readonly ReportedError[]): ErrorCode {
  if (status === 401 || status === 403) return 'E_UNAUTHORIZED';
  if (reported.some(({ code }) => code === 'DIGEST_INVALID')) return 'E_DIGEST_MISMATCH';
  if (reported.some(({ code }) => code === 'SIZE_INVALID')) return 'E_SIZE_MISMATCH';
  return status === 404 ? 'E_NOT_FOUND' : 'E_REGISTRY';
}

function hintFor(
  code: ErrorCode,
  status: number,
  { host, method, proven }: Purpose,
  retryAfter: number | undefined,
): string | undefined {
  if (code === 'E_UNAUTHORIZED') {
    if (proven === true)
      return `these credentials were not accepted for this; log in with others: slipway login ${host}`;
    return `log in first: slipway login ${host}`;
  }
  if (retryAfter !== undefined && retryAfter > LONGEST_WAIT)
    return `the registry asks to wait ${formatDuration(retryAfter)}; try again then`;
  if (status === 429) return 'the registry limits how often it may be asked; try again later, or log in';
  if (code === 'E_NOT_FOUND') return 'check the name, the tag and the host';
  if (status === 405)
    return method === 'DELETE'
      ? 'the registry does not allow deletions'
      : 'the registry is read-only or does not offer this';
  if (status === 413) return 'a proxy before the registry limits the size of a request; raise that limit';
  if (status === 507) return 'the disk of the registry is full';
  return undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 300);
}
