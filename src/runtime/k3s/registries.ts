import { stringify } from 'yaml';
import type { ImageSource } from '../driver.js';

/**
 * k3s' `registries.yaml`: images of the cluster's registry, by its own name and by the name of every upstream registry that the image
 * list has. What is not there is asked for upstream, where there is a way. Pure.
 * Source: k3s, "Private Registry Configuration".
 */
export function registriesYaml({ own, upstreams, caFile, username, password }: ImageSource): string {
  const endpoint = [`https://${own}`];
  const mirrors = Object.fromEntries(
    [own, ...upstreams.filter((host) => host !== own)].map((host) => [host, { endpoint }]),
  );
  const login = username !== undefined && password !== undefined ? { auth: { username, password } } : {};
  const configs = { [own]: { ...login, tls: { ca_file: caFile } } };
  return `# written by slipway\n${stringify({ mirrors, configs }, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
