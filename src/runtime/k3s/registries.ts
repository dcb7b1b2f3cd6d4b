import { stringify } from 'yaml';
import type { ImageSource } from '../driver.js';

/**
 * k3s' `registries.yaml`: images of the cluster's registry, by its own name and by the name of every upstream registry that the image
 * list has. What is not there is asked for upstream, where there is a way. Pure.
 * Source: k3s, "Private Registry Configuration".
 */
export function registriesYaml({ own, endpoints, upstreams, caFile, login }: ImageSource): string {
  const endpoint = [...endpoints];
  const mirrors = Object.fromEntries(
    [...own, ...upstreams.filter((host) => !own.includes(host))].map((host) => [host, { endpoint }]),
  );
  const settings = {
    ...(login === undefined ? {} : { auth: login }),
    ...(caFile === undefined ? {} : { tls: { ca_file: caFile } }),
  };
  const configs = Object.fromEntries(endpoints.map((url) => [url.replace(/^https?:\/\//, ''), settings]));
  return `# written by slipway\n${stringify({ mirrors, configs }, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
