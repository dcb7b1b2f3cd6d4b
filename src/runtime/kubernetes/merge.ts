/** A JSON object as it comes out of YAML. */
export type JsonObject = { readonly [key: string]: unknown };

/** Lists that two documents share instead of one hiding the other's: names in certificates, errors that may be passed over. */
const UNIONS = new Set(['certSANs', 'serverCertSANs', 'peerCertSANs', 'ignorePreflightErrors', 'skipPhases']);

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * `over` laid over `base`: objects are merged key by key, `null` takes a key away (RFC 7396), anything else replaces, but the lists
 * named in UNIONS become the union of both, without duplicates, in order of appearance. Neither argument is changed.
 */
export function mergeDocuments(base: JsonObject, over: JsonObject): JsonObject {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    if (value === null) delete merged[key];
    else if (isObject(value)) merged[key] = mergeDocuments(isObject(below) ? below : {}, value);
    else if (Array.isArray(value) && Array.isArray(below) && UNIONS.has(key))
      merged[key] = [...new Set([...below, ...value])];
    else merged[key] = value;
  }
  return merged;
}
