import { readFile } from 'node:fs/promises';
import { errnoOf, fileSystemError } from '../../base/errors.js';
import { replaceFile } from '../../store/durable.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import type { InstallWork, WorkHost } from '../work.js';

/** What it takes to fetch the kubeconfig. */
export interface KubeconfigWork extends Pick<InstallWork, 'driver' | 'cluster' | 'state'> {
  readonly entry: Pick<WorkHost, 'address' | 'host'>;
}

/** Fetches the administrator's kubeconfig to this machine, readable by its owner alone. */
export const kubeconfigPhase: Phase<KubeconfigWork> = {
  name: 'kubeconfig',
  title: 'Fetch the kubeconfig',
  steps: ({ entry, driver, cluster, state }) => [
    {
      id: stepId('kubeconfig'),
      host: undefined,
      title: `write ${state.kubeconfig}`,
      why: 'kubectl on this machine',
      inputs: inputsDigest('kubeconfig', entry.address),
      proof: 'check',
      check: async () => ({
        holds: (await readText(state.kubeconfig)) === (await driver.kubeconfig(entry.host, cluster)),
      }),
      run: async () => {
        const text = await driver.kubeconfig(entry.host, cluster);
        try {
          await replaceFile(state.kubeconfig, `${state.kubeconfig}.new`, text, 0o600);
        } catch (error) {
          throw fileSystemError(error, `writing ${state.kubeconfig}`);
        }
        return undefined;
      },
    },
  ],
};

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fileSystemError(error, `reading ${file}`);
  }
}
