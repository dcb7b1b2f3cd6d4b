import type { Host } from '../hosts/host.js';
import type { RuntimeDriver } from '../runtime/driver.js';
import type { HostPaths } from './state/cluster-paths.js';

/** What the phases of `reset` work with: no image is needed. */
export interface ResetWork {
  readonly cluster: string;
  readonly driver: RuntimeDriver;
  readonly paths: HostPaths;
  readonly registry: { readonly domain: string; readonly port: number };
  /** Hosts that answer and are ours. */
  readonly hosts: readonly {
    readonly address: string;
    readonly host: Host;
    readonly env: Readonly<Record<string, string>>;
  }[];
}
