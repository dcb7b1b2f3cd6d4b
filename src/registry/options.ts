import type { Reporter } from '../base/reporter.js';

/** A name and a password for one registry. */
export interface BasicCredential {
  readonly username: string;
  readonly password: string;
}

/** How registries are talked to. One object serves a whole command; everything is optional. */
export interface RegistryOptions {
  /** Given on the command line: used for the registry the command is about instead of any stored credential, never for mirrors. */
  readonly credential?: BasicCredential;
  /** Plain http: for every registry, or for these hosts (`name:port`). Loopback addresses are asked without being told. */
  readonly plainHttp?: boolean | readonly string[];
  /** Accept any certificate: of every registry, or of these hosts. Each use is warned about. */
  readonly insecureSkipVerify?: boolean | readonly string[];
  /** A directory with `*.crt` (CAs), `*.cert` and `*.key` (client certificate), beside those of the system. */
  readonly certDir?: string;
  /** For a host, the places to pull from before the host itself: `mirror.lan:5000`, `mirror.lan/hub`, `http://10.0.0.1:5000`. */
  readonly mirrors?: Readonly<Record<string, readonly string[]>>;
  /**
   * Milliseconds: to connect (default 10 000), between two pieces of an answer (default 60 000; never for a whole transfer), and for a
   * credential helper (default 120 000: it may ask its user to unlock a key ring).
   */
  readonly timeouts?: { readonly connect?: number; readonly idle?: number; readonly helper?: number };
  /** Milliseconds before the first repetition (default 500); each further wait is twice as long. */
  readonly retryDelay?: number;
  /** Bytes of one request of an upload in pieces (default 64 MiB); smaller blobs are sent in one piece. */
  readonly chunkSize?: number;
  readonly reporter?: Reporter;
  /** Ends everything; its reason is what is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Where `DOCKER_CONFIG`, `HOME`, `HTTPS_PROXY` … are looked up; default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

/** True when a setting of {@link RegistryOptions} that is for all or for some hosts applies to `host`. */
export function appliesTo(setting: boolean | readonly string[] | undefined, host: string): boolean {
  return typeof setting === 'object' ? setting.includes(host) : setting === true;
}
