import * as z from 'zod';
import { goQuotedToJson } from '../../base/go-json.js';
import type { Finding } from './finding.js';

/**
 * One short JSON object a line, only for pods that are neither done nor ready: a cluster has thousands of them, and a command's output is
 * bounded. `printf "%q"` quotes as Go does.
 */
export const PODS_TEMPLATE =
  '{{range .items}}{{$ready := ""}}{{$since := .metadata.creationTimestamp}}{{range .status.conditions}}{{if eq .type "Ready"}}' +
  '{{$ready = .status}}{{$since = or .lastTransitionTime $since}}{{end}}{{end}}' +
  '{{if and (ne $ready "True") (ne (or .status.phase "Unknown") "Succeeded")}}' +
  '{"namespace":{{printf "%q" .metadata.namespace}},"name":{{printf "%q" .metadata.name}},' +
  '"phase":{{printf "%q" (or .status.phase "Unknown")}},"since":{{printf "%q" $since}},' +
  '"hostIP":{{printf "%q" (or .status.hostIP "")}},"reasons":[' +
  '{{with .status.reason}}{{printf "%q" .}},{{end}}' +
  '{{range .status.initContainerStatuses}}{{with .state.waiting}}{{printf "%q" (or .reason "waiting")}},{{end}}{{end}}' +
  '{{range .status.containerStatuses}}{{with .state.waiting}}{{printf "%q" (or .reason "waiting")}},{{end}}' +
  '{{with .state.terminated}}{{printf "%q" (or .reason "ended")}},{{end}}{{end}}' +
  '{{range .status.conditions}}{{if and (ne .status "True") (or .message "")}}{{printf "%q" .message}},{{end}}{{end}}""]}{{"\\n"}}{{end}}{{end}}';

const podSchema = z.object({
  namespace: z.string(),
  name: z.string(),
  phase: z.string(),
  since: z.string(),
  hostIP: z.string(),
  reasons: z.array(z.string()),
});
/** A pod that is neither done nor ready. */
export type OpenPod = z.infer<typeof podSchema>;

/** Pods may take this long to become ready. */
const PATIENCE_MS = 5 * 60_000;

/** Reads what {@link PODS_TEMPLATE} prints. Lines that were cut (the output is bounded) are left out. Pure. */
export function parsePods(text: string): readonly OpenPod[] {
  return text.split('\n').flatMap((line) => {
    try {
      const parsed = podSchema.safeParse(JSON.parse(goQuotedToJson(line)));
      return parsed.success ? [parsed.data] : [];
    } catch {
      return [];
    }
  });
}

/** What pods have not been ready for too long. Pure. @param hosts addresses of the cluster's hosts. */
export function podFindings(pods: readonly OpenPod[], hosts: readonly string[], nowMs: number): Finding[] {
  return pods
    .filter(({ since }) => !(nowMs - Date.parse(since) <= PATIENCE_MS))
    .map(({ namespace, name, phase, since, hostIP, reasons }) => {
      const said = [...new Set(reasons.filter((reason) => reason !== ''))];
      const failed = phase === 'Failed';
      return {
        // Failed pods are kept as a record of what went wrong: whoever made them has mostly made others.
        severity: failed ? 'warning' : 'problem',
        host: hosts.includes(hostIP) ? hostIP : null,
        check: 'pods',
        what: failed ? `pod ${namespace}/${name} has failed` : `pod ${namespace}/${name} is not ready`,
        why: [`${phase} since ${since}`, ...said].join('; '),
        fix: `kubectl -n ${namespace} describe pod ${name}; kubectl -n ${namespace} logs ${name} --all-containers`,
      };
    });
}
