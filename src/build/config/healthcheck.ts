import { SlipwayError } from '../../base/errors.js';
import { readJsonForm } from '../../kubefile-parser/json-form.js';

/** As in Docker's image config; times in nanoseconds. */
export interface Healthcheck {
  readonly [field: string]: unknown;
  readonly Test: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

const FLAGS: Readonly<Record<string, string>> = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
  retries: 'Retries',
};

/** Nanoseconds. */
const UNITS: Readonly<Record<string, number>> = { h: 3600e9, m: 60e9, s: 1e9, ms: 1e6, us: 1e3, µs: 1e3, ns: 1 };

/**
 * The arguments of HEALTHCHECK: `NONE`, or `[--interval=5s …] CMD command` (Docker reference, HEALTHCHECK).
 * @throws SlipwayError E_KUBEFILE_SYNTAX when they are neither.
 */
export function parseHealthcheck(text: string): Healthcheck {
  const values: Record<string, number> = {};
  let rest = text;
  for (let flag = /^--([\w-]+)=(\S*)\s*/.exec(rest); flag !== null; flag = /^--([\w-]+)=(\S*)\s*/.exec(rest)) {
    const [whole, name = '', value = ''] = flag;
    const field = Object.hasOwn(FLAGS, name) ? FLAGS[name] : undefined;
    if (field === undefined) throw mistake(`--${name} is not one of its flags`);
    values[field] = field === 'Retries' ? retries(value) : duration(name, value);
    rest = rest.slice(whole.length);
  }
  if (/^NONE\s*$/i.test(rest)) {
    if (Object.keys(values).length > 0) throw mistake('NONE takes no flags');
    return { Test: ['NONE'] };
  }
  const command = /^CMD\s+(.*)$/is.exec(rest)?.[1]?.trim() ?? '';
  if (command === '') throw mistake('the command is missing');
  const json = readJsonForm(command, 0, command.length);
  const Test = json?.kind === 'strings' ? ['CMD', ...json.values.map(({ value }) => value)] : ['CMD-SHELL', command];
  return { Test, ...values };
}

function retries(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw mistake(`--retries=${text} is no number`);
  return Number(text);
}

/** Go's time.ParseDuration: `1h30m`, `1.5s`; Docker wants a millisecond at least, or 0. */
function duration(name: string, text: string): number {
  let sum = 0;
  const parts = /^(?:\d+(?:\.\d*)?(?:h|ms|us|µs|ns|m|s))+$/.test(text)
    ? [...text.matchAll(/(\d+(?:\.\d*)?)(h|ms|us|µs|ns|m|s)/g)]
    : undefined;
  if (parts === undefined && text !== '0') throw mistake(`--${name}=${text} is no time such as 30s or 1m30s`);
  for (const [, count = '', unit = ''] of parts ?? []) sum += Number(count) * (UNITS[unit] ?? 0);
  if (sum > 0 && sum < 1e6) throw mistake(`--${name}=${text} is less than a millisecond`);
  return Math.round(sum);
}

function mistake(why: string): SlipwayError {
  return new SlipwayError('E_KUBEFILE_SYNTAX', `HEALTHCHECK: ${why}`, {
    hint: 'write HEALTHCHECK [--interval=30s --timeout=30s --start-period=0s --retries=3] CMD command, or HEALTHCHECK NONE',
  });
}
