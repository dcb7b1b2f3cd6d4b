import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writeHtpasswd } from './htpasswd.js';
import { start, tempDir } from './programs.js';

export interface DockerRegistryOptions {
  /** Address of this machine at which it listens; default 127.0.0.1. */
  readonly listen?: string;
  /** Serve what is in this directory; default an empty one. */
  readonly storage?: string;
  readonly users?: Readonly<Record<string, string>>;
  readonly tls?: {
    /** PEM files. */
    readonly cert: string;
    readonly key: string;
    /** Clients must have a certificate of this authority. */
    readonly clientCa?: string;
  };
  /** A token server that the registry trusts. */
  readonly token?: {
    readonly realm: string;
    readonly service: string;
    readonly issuer: string;
    readonly rootCert: string;
  };
}

export interface DockerRegistry {
  /** `127.0.0.1:PORT`, or at the address that was given. */
  readonly address: string;
  /** Where it keeps `docker/registry/v2/…`. */
  readonly root: string;
  log(): string;
  close(): Promise<void>;
}

/** Starts Debian's docker-registry (distribution 2.8) on a free port, with storage of its own. */
export async function startDockerRegistry({
  listen = '127.0.0.1',
  users,
  tls,
  token,
  storage,
}: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const dir = await tempDir('registry');
  const htpasswd = join(dir.path, 'htpasswd');
  if (users !== undefined) await writeHtpasswd(htpasswd, users);
  const root = storage ?? join(dir.path, 'data');
  const config = {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: false } },
    validation: { manifests: { urls: { allow: ['^https?://'] } } },
    storage: { filesystem: { rootdirectory: root }, delete: { enabled: true } },
    http: {
      addr: `${listen}:0`,
      secret: 'test',
      ...(tls === undefined
        ? {}
        : {
            tls: {
              certificate: tls.cert,
              key: tls.key,
              ...(tls.clientCa === undefined ? {} : { clientcas: [tls.clientCa] }),
            },
          }),
    },
    ...(users === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: htpasswd } } }),
    ...(token === undefined
      ? {}
      : {
          auth: {
            token: { realm: token.realm, service: token.service, issuer: token.issuer, rootcertbundle: token.rootCert },
          },
        }),
  };
  const file = join(dir.path, 'config.yml');
  await writeFile(file, stringify(config));
  const daemon = start('docker-registry', ['serve', file], { OTEL_TRACES_EXPORTER: 'none' });
  try {
    const [, address = ''] = await daemon.waitFor(/listening on (\d+\.\d+\.\d+\.\d+:\d+)/);
    return {
      address,
      root,
      log: () => daemon.log(),
      async close() {
        await daemon.stop();
        await dir.remove();
      },
    };
  } catch (error) {
    await daemon.stop();
    await dir.remove();
    throw error;
  }
}
