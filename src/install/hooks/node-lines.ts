import { parseIpList } from '../spec/ip-list.js';
import { LABEL_NAME, LABEL_VALUE, NODE_NAME, TAINT, TAINT_EFFECTS } from '../spec/node-marks.js';

/** What lines of a plugin say of hosts, and every mistake found: `line 2: …`. */
export interface NodeLines<T> {
  readonly entries: readonly { readonly address: string; readonly value: T }[];
  readonly mistakes: readonly string[];
}

/** Reads the lines of a LABEL plugin: `10.0.0.2 disk=ssd,zone=a`. Pure. */
export function parseLabelLines(data: string): NodeLines<Readonly<Record<string, string>>> {
  return parseLines(data, 'ADDRESS KEY=VALUE', (text) => {
    const labels: Record<string, string> = {};
    for (const pair of text.split(',').filter((one) => one !== '')) {
      const equals = pair.indexOf('=');
      const name = pair.slice(0, Math.max(0, equals));
      const value = pair.slice(equals + 1);
      if (equals < 0 || !LABEL_NAME.test(name) || !LABEL_VALUE.test(value))
        return `${JSON.stringify(pair)} is not a label; write KEY=VALUE`;
      labels[name] = value;
    }
    return { value: labels };
  });
}

/** Reads the lines of a TAINT plugin: `10.0.0.2-10.0.0.5 key=value:NoSchedule`; with a `-` behind it, it shall not be. Pure. */
export function parseTaintLines(data: string): NodeLines<readonly string[]> {
  return parseLines(data, 'ADDRESS KEY=VALUE:EFFECT', (text) => {
    if (TAINT.test(text)) return { value: [text] };
    // As kubectl has it: all taints of this key.
    const everyEffect = TAINT_EFFECTS.map((effect) => `${text.slice(0, -1)}:${effect}-`);
    if (/^[^=:]+-$/.test(text) && everyEffect.every((taint) => TAINT.test(taint))) return { value: everyEffect };
    return `${JSON.stringify(text)} is not a taint; write KEY=VALUE:EFFECT or KEY:EFFECT, with a "-" behind it to take it away`;
  });
}

/** Reads the lines of a HOSTNAME plugin: `10.0.0.2 master-0`. Pure. */
export function parseHostnameLines(data: string): NodeLines<string> {
  const { entries, mistakes } = parseLines(data, 'ADDRESS NAME', (text) =>
    NODE_NAME.test(text) && text !== 'localhost' ? { value: text } : `${JSON.stringify(text)} cannot name a node`,
  );
  const twice = entries.filter(({ address, value }) =>
    entries.some((other) => (other.address === address) !== (other.value === value)),
  );
  const names = [...new Set(twice.map(({ address, value }) => `${address} ${value}`))];
  return {
    entries,
    mistakes: [...mistakes, ...(names.length === 0 ? [] : [`one name for one host: ${names.join(', ')}`])],
  };
}

function parseLines<T>(
  data: string,
  form: string,
  read: (text: string) => { readonly value: T } | string,
): NodeLines<T> {
  const entries: { address: string; value: T }[] = [];
  const mistakes: string[] = [];
  for (const [index, line] of data.split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const wrong = (why: string): void => void mistakes.push(`line ${index + 1}: ${why}`);
    const [list = '', rest, ...more] = text.split(/\s+/);
    if (rest === undefined || more.length > 0) {
      wrong(`write it ${form}`);
      continue;
    }
    const { addresses, mistakes: found } = parseIpList(list);
    for (const mistake of found) wrong(mistake);
    const value = read(rest);
    if (typeof value === 'string') wrong(value);
    else entries.push(...addresses.map((address) => ({ address, value: value.value })));
  }
  return { entries, mistakes };
}
