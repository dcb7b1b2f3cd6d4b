import { durationMs } from '../../base/duration.js';
import { parseHostnameLines, parseLabelLines, parseTaintLines } from '../hooks/node-lines.js';
import { HOOK_PHASES, type HookPhaseName, isHookPhase } from '../spec/hook-phases.js';
import { parseHostSelector } from '../spec/host-selector.js';
import { hasOwnPlace, PLUGIN_TYPES, type PluginSpec, type PluginType } from '../spec/plugin-spec.js';
import { checkDocument } from './check-document.js';
import { barredWords } from './choice.js';
import { type PluginDocument, pluginSchema } from './plugin-schema.js';
import type { YamlDocument } from './yaml-document.js';

/**
 * Reads a document of the kind Plugin.
 * @param source where it was written down, for people. @param mistakes takes a line with its place for each.
 * @returns undefined when there are mistakes.
 */
export function readPlugin(document: YamlDocument, source: string, mistakes: string[]): PluginSpec | undefined {
  const read = checkDocument(pluginSchema, document, mistakes);
  if (read === undefined) return undefined;
  const found: string[] = [];
  const wrong = (field: string, why: string): void =>
    void found.push(`${document.place(['spec', field])}: spec.${field}: ${why}`);
  const { metadata, spec } = read;
  const type = spec.type ?? typeInName(metadata.name);
  if (type === undefined) wrong('type', `is missing; it is one of ${PLUGIN_TYPES.join(', ')}`);
  const phases = phasesOf(type, spec);
  if (type !== undefined) for (const [field, why] of fieldMistakes(type, phases, spec)) wrong(field, why);
  mistakes.push(...found);
  if (found.length > 0 || type === undefined) return undefined;
  const { on, scope, data = '', timeout } = spec;
  return {
    name: metadata.name,
    type,
    phases: [...phases],
    ...(on === undefined ? {} : { on: on.trim() }),
    ...(scope === undefined ? {} : { scope: scope.trim() }),
    data,
    ...(timeout === undefined ? {} : { timeoutMs: durationMs(timeout) }),
    source,
  };
}

/** sealer's first plugins said by their name what they are. */
function typeInName(name: string): PluginType | undefined {
  return PLUGIN_TYPES.find((type) => type === name.toUpperCase());
}

function phasesOf(type: PluginType | undefined, { action = '' }: PluginDocument['spec']): readonly HookPhaseName[] {
  const phases = [...new Set(barredWords(action))].filter(isHookPhase);
  return phases.length === 0 && type === 'CLUSTERCHECK' ? ['PreGuest'] : phases;
}

type Mistake = readonly [field: string, why: string];

function fieldMistakes(
  type: PluginType,
  phases: readonly HookPhaseName[],
  { on, scope, data = '' }: PluginDocument['spec'],
): readonly Mistake[] {
  switch (type) {
    case 'SHELL':
      return [
        ...noPhase(phases),
        ...(data.trim() === '' ? [['data', 'is missing: the script'] as const] : []),
        ...selectorMistakes('on', on, phases),
        ...selectorMistakes('scope', scope, phases),
      ];
    case 'CLUSTERCHECK':
      return [...unused(type, { on, scope }), ...needsCluster(type, phases)];
    case 'ETCD':
      return [
        ...noPhase(phases),
        ...needsCluster(type, phases),
        ...unused(type, { scope }),
        ...(on !== undefined && !/^\/(?:[^/\0]+\/)*[^/\0]+$/.test(on.trim())
          ? [['on', 'is the file of the snapshot on the master: an absolute path'] as const]
          : []),
      ];
    case 'LABEL':
    case 'TAINT':
    case 'HOSTNAME':
      return [...unused(type, { on, scope }), ...lineMistakes(type, data)];
  }
}

function noPhase(phases: readonly HookPhaseName[]): readonly Mistake[] {
  return phases.length > 0 ? [] : [['action', 'is missing: when it runs']];
}

function needsCluster(type: PluginType, phases: readonly HookPhaseName[]): readonly Mistake[] {
  return phases
    .filter((phase) => !HOOK_PHASES[phase].clusterUp)
    .map((phase) => ['action', `at ${phase} there is no cluster that ${type} could ask`]);
}

function unused(type: PluginType, fields: Readonly<Record<string, string | undefined>>): readonly Mistake[] {
  const why = hasOwnPlace({ type }) ? 'the lines of data say which' : 'it is for the whole cluster';
  return Object.entries(fields).flatMap(([field, text]) =>
    text === undefined ? [] : [[field, `${type} chooses no hosts: ${why}`] as const],
  );
}

function selectorMistakes(
  field: string,
  text: string | undefined,
  phases: readonly HookPhaseName[],
): readonly Mistake[] {
  if (text === undefined) return [];
  const selector = parseHostSelector(text);
  if (typeof selector === 'string') return [[field, selector]];
  if (selector.kind === 'hosts') return [];
  return phases
    .filter((phase) => HOOK_PHASES[phase].where === 'hosts' && !HOOK_PHASES[phase].labelled)
    .map((phase) => [field, `at ${phase} nodes have no labels yet, or none any more: choose by role or address`]);
}

function lineMistakes(type: 'LABEL' | 'TAINT' | 'HOSTNAME', data: string): readonly Mistake[] {
  if (data.trim() === '') return [['data', 'is missing: a line for each host']];
  const parse = { LABEL: parseLabelLines, TAINT: parseTaintLines, HOSTNAME: parseHostnameLines }[type];
  return parse(data).mistakes.map((mistake) => ['data', mistake]);
}
