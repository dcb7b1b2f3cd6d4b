import { SlipwayError } from '../../base/errors.js';
import type { IgnoredInstruction } from '../../kubefile-parser/ast.js';
import { readJsonForm } from '../../kubefile-parser/json-form.js';
import type { ExpandWord } from '../variables/expand.js';
import type { DockerSettings } from './docker-settings.js';
import { parseHealthcheck } from './healthcheck.js';

/**
 * EXPOSE, VOLUME, STOPSIGNAL, HEALTHCHECK and ONBUILD with Docker's rules.
 * @throws SlipwayError E_KUBEFILE_SYNTAX for arguments that mean nothing.
 */
export function changeSettings(
  settings: DockerSettings,
  instruction: IgnoredInstruction,
  expand: ExpandWord,
): DockerSettings {
  const { name, text, position } = instruction;
  const expanded = (raw: string): string => expand({ raw, position });
  switch (name) {
    case 'EXPOSE':
      return { ...settings, ExposedPorts: { ...settings.ExposedPorts, ...keys(exposed(words(text).map(expanded))) } };
    case 'VOLUME':
      return { ...settings, Volumes: { ...settings.Volumes, ...keys(volumes(text, expanded)) } };
    case 'STOPSIGNAL':
      return { ...settings, StopSignal: stopSignal(expanded(text)) };
    case 'HEALTHCHECK':
      return { ...settings, Healthcheck: parseHealthcheck(text) };
    case 'ONBUILD':
      return { ...settings, OnBuild: [...(settings.OnBuild ?? []), trigger(text)] };
  }
}

/** `80`, `80/udp`, `8000-8010/tcp`; a variable may hold several. */
function exposed(values: readonly string[]): string[] {
  return values.flatMap(words).flatMap((spec) => {
    const [, from = '', to = from, protocol = 'tcp'] =
      /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(spec) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (from === '' || first < 1 || last > 65_535 || first > last)
      throw mistake(`EXPOSE ${spec}: not a port`, 'write 80, 53/udp or 8000-8010/tcp');
    return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
  });
}

function volumes(text: string, expanded: (raw: string) => string): string[] {
  const json = readJsonForm(text, 0, text.length);
  const paths = (json?.kind === 'strings' ? json.values.map(({ value }) => value) : words(text)).map(expanded);
  if (paths.length === 0 || paths.includes(''))
    throw mistake('VOLUME: a path is empty', 'write VOLUME /path or VOLUME ["/path"]');
  return paths;
}

function stopSignal(signal: string): string {
  if (!/^(?:\d{1,2}|(?:SIG)?[A-Z][A-Z0-9]*(?:[+-]\d{1,2})?)$/i.test(signal))
    throw mistake(`STOPSIGNAL ${signal}: not a signal`, 'write a name such as SIGTERM, or its number');
  return signal;
}

function trigger(text: string): string {
  const [keyword = ''] = words(text);
  if (/^(?:ONBUILD|FROM|MAINTAINER)$/i.test(keyword))
    throw mistake(
      `ONBUILD ${keyword} is not allowed`,
      'ONBUILD takes any instruction but ONBUILD, FROM and MAINTAINER',
    );
  return text;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

function keys(names: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

function mistake(message: string, hint: string): SlipwayError {
  return new SlipwayError('E_KUBEFILE_SYNTAX', message, { hint });
}
