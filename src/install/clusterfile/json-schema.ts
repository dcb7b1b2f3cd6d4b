import * as z from 'zod';
import { pluginSchema } from './plugin-schema.js';
import { applicationSchema, clusterSchema, clusterV1Schema, configSchema } from './schema.js';

/**
 * JSON Schema (2020-12) of one document of a Clusterfile, for editors: what it completes and marks is what a Clusterfile is checked for,
 * but for what only the whole file shows. Documents of kubeadm and k0s are whatever these take.
 */
export function clusterfileJsonSchema(): Record<string, unknown> {
  const own = [clusterSchema, clusterV1Schema, configSchema, pluginSchema, applicationSchema].map((schema) => {
    const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' });
    return rest;
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A document of a Clusterfile',
    anyOf: [
      ...own,
      {
        type: 'object',
        properties: {
          apiVersion: { type: 'string', pattern: '^(slipway|sealer\\.io)/' },
          kind: { const: 'K3sConfig' },
          spec: {
            type: 'object',
            properties: { server: { type: 'object' }, agent: { type: 'object' } },
            additionalProperties: false,
          },
        },
        required: ['apiVersion', 'kind', 'spec'],
      },
      {
        type: 'object',
        properties: {
          apiVersion: { type: 'string', pattern: '^k0s\\.k0sproject\\.io/' },
          kind: { const: 'ClusterConfig' },
          spec: { type: 'object' },
        },
        required: ['apiVersion', 'kind'],
      },
      {
        type: 'object',
        properties: {
          apiVersion: { type: 'string', pattern: '^(kubeadm|kubelet\\.config|kubeproxy\\.config)\\.k8s\\.io/' },
          kind: { type: 'string' },
        },
        required: ['apiVersion', 'kind'],
      },
    ],
  };
}
