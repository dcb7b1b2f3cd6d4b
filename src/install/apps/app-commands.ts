import { stepId } from '../plan/step.js';

/** The step and the note in the cluster of the N-th command of an application image, from 1. */
export function appCommandId(app: string, kind: 'launch' | 'delete', number: number): string {
  return stepId(`app-${app}-${kind}-${number}`);
}

/** The kind and number of a note, when it is one of this application image. */
export function appCommandOf(app: string, id: string): { readonly kind: string; readonly number: number } | undefined {
  const prefix = `app-${app}-`;
  const [, kind, number] = id.startsWith(prefix) ? (/^(launch|delete)-(\d+)$/.exec(id.slice(prefix.length)) ?? []) : [];
  return kind === undefined ? undefined : { kind, number: Number(number) };
}
