import semver from 'semver';
import { durationMs } from '../../base/duration.js';
import type { ClusterContext, InstallProblem } from '../driver.js';
import { isObject, type JsonObject } from '../kubernetes/merge.js';
import { parseKubeVersion } from '../kubernetes/version.js';
import { API_SERVER_PORT } from './config.js';
import { collectDocuments } from './documents.js';
import { PATHS } from './paths.js';

/** The first whose join takes a token from a file (kubernetes/kubernetes#80675). */
const OLDEST = '1.15.3';
/** What Go's durations can say, in milliseconds: 292 years. */
const LONGEST_MS = 2 ** 63 / 1e6;
const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

/** Why a cluster cannot be begun with these documents, or with this version. Pure. */
export function installProblem({ version, configDocuments }: ClusterContext): InstallProblem | undefined {
  if (semver.lt(parseKubeVersion(version), OLDEST) && semver.gte(parseKubeVersion(version), '1.15.0')) {
    return {
      problem: `nodes cannot join with kubeadm ${version}`,
      hint: `build the image with v${OLDEST} or a later one`,
    };
  }
  const { ClusterConfiguration: cluster, InitConfiguration: init } = collectDocuments(configDocuments);
  return lifeProblem(cluster) ?? directoryProblem(cluster) ?? portProblem(init);
}

function lifeProblem({ caCertificateValidityPeriod: wanted }: JsonObject): InstallProblem | undefined {
  if (wanted === undefined || wanted === null) return undefined;
  const life = typeof wanted === 'string' ? durationMs(wanted) : undefined;
  if (life !== undefined && life <= LONGEST_MS) return undefined;
  return {
    inDocuments: true,
    problem: `ClusterConfiguration: caCertificateValidityPeriod is ${JSON.stringify(wanted)}, which is no duration of up to 292 years`,
    hint: 'hours, minutes and seconds can be said: 876000h0m0s are a hundred years',
  };
}

// Certificates are shown, renewed and given to nodes that join from where they are by default, and the way to the API servers leads there.

function directoryProblem({ certificatesDir }: JsonObject): InstallProblem | undefined {
  if (certificatesDir === undefined || certificatesDir === null || certificatesDir === PATHS.pki) return undefined;
  return {
    inDocuments: true,
    problem: `ClusterConfiguration: certificatesDir is ${JSON.stringify(certificatesDir)}; certificates are in ${PATHS.pki} and nowhere else`,
    hint: 'leave the field out',
  };
}

function portProblem({ localAPIEndpoint }: JsonObject): InstallProblem | undefined {
  const port = isObject(localAPIEndpoint) ? localAPIEndpoint.bindPort : undefined;
  if (port === undefined || port === null || port === API_SERVER_PORT) return undefined;
  return {
    inDocuments: true,
    problem: `InitConfiguration: localAPIEndpoint.bindPort is ${JSON.stringify(port)}; API servers listen at ${API_SERVER_PORT} and nowhere else`,
    hint: 'leave the field out; a balancer of yours, named as controlPlaneEndpoint, can listen at another port',
  };
}

/** CAs that end before what they sign are a slip of the pen (87600m). Pure. */
export function lifeWarnings(documents: ClusterContext['configDocuments']): readonly string[] {
  const { caCertificateValidityPeriod: wanted } = collectDocuments(documents).ClusterConfiguration;
  const life = typeof wanted === 'string' ? durationMs(wanted) : undefined;
  if (life === undefined || life >= YEAR_MS) return [];
  return [
    `ClusterConfiguration: caCertificateValidityPeriod is ${JSON.stringify(wanted)}, less than a year: CAs are never replaced, and the cluster ends with them`,
  ];
}
