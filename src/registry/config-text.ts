import { isMap, LineCounter, parseDocument } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../base/errors.js';
import type { RegistryOptions } from './options.js';

const hosts = z.array(z.string().min(1)).optional();

const configSchema = z.strictObject({
  registries: z
    .strictObject({
      mirrors: z.record(z.string(), z.array(z.string().min(1)).min(1)).optional(),
      plainHttp: hosts,
      insecureSkipVerify: hosts,
    })
    .optional(),
});

/** The part of {@link RegistryOptions} that the config file can give. */
export type RegistrySettings = Pick<RegistryOptions, 'mirrors'> & {
  readonly plainHttp?: readonly string[];
  readonly insecureSkipVerify?: readonly string[];
};

/**
 * @param text the config file, YAML. @param file its name, for errors.
 * @throws SlipwayError E_USAGE with file, line and column.
 */
export function parseRegistrySettings(text: string, file: string): RegistrySettings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [mistake] = document.errors;
  if (mistake !== undefined) {
    const { line, col } = lines.linePos(mistake.pos[0]);
    throw new SlipwayError('E_USAGE', `${file}:${line}:${col}: ${mistake.message.split('\n', 1)[0]}`, {
      hint: 'the config file is YAML',
    });
  }
  const parsed = configSchema.safeParse(document.toJS() ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = (issue?.path ?? []).map(String);
    const node = isMap(document.contents) ? document.getIn(path, true) : undefined;
    const range =
      typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
        ? (node.range[0] as unknown)
        : 0;
    const { line, col } = lines.linePos(typeof range === 'number' ? range : 0);
    throw new SlipwayError(
      'E_USAGE',
      `${file}:${line}:${col}: ${[path.join('.'), issue?.message].filter(Boolean).join(': ')}`,
      {
        hint: 'known settings: registries.mirrors, registries.plainHttp, registries.insecureSkipVerify',
      },
    );
  }
  const { mirrors, plainHttp, insecureSkipVerify } = parsed.data.registries ?? {};
  return {
    ...(mirrors === undefined ? {} : { mirrors }),
    ...(plainHttp === undefined ? {} : { plainHttp }),
    ...(insecureSkipVerify === undefined ? {} : { insecureSkipVerify }),
  };
}
