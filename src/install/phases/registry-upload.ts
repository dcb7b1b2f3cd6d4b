import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../../base/make-directory.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import { missingImages, type UploadPlace, uploadImages } from '../registry/external-upload.js';
import { type RegistryAccess, registryName } from '../registry/registry-access.js';
import type { RegistrySpec } from '../spec/cluster-spec.js';
import type { StatePaths } from '../state/cluster-paths.js';
import type { InstallWork } from '../work.js';

/** Gives a registry outside of the cluster the container images that the image brings, from this machine. */
export const registryUploadPhase: Phase<InstallWork> = {
  name: 'registry-upload',
  title: 'Upload the container images to the external registry',
  steps: ({ registry, spec, state, image, reporter }) => {
    if (registry?.external !== true) return [];
    const { entries } = image.rootfs;
    const name = registryName(registry);
    return [
      {
        id: stepId('registry-upload'),
        host: undefined,
        title: `upload the container images to ${name}`,
        why: `pods pull them from ${name}`,
        inputs: inputsDigest('registry-upload', name, image.rootfs.digest),
        proof: 'check',
        check: async (signal) => {
          const { missing, all } = await missingImages(entries, await placeOf(registry, spec.registry, state), signal);
          if (missing.length === 0) return { holds: true };
          return { holds: false, why: `${missing.length} of ${all} images are missing there` };
        },
        run: async ({ signal }) =>
          uploadImages(entries, await placeOf(registry, spec.registry, state), { reporter, signal }),
      },
    ];
  },
};

/** How it is talked to from here: as the hosts do. */
async function placeOf(
  registry: RegistryAccess,
  { username, password }: RegistrySpec,
  { pki }: StatePaths,
): Promise<UploadPlace> {
  const certDir = join(pki, 'external');
  if (registry.ca !== undefined) {
    await makeDirectory(certDir, 0o700);
    await writeFile(join(certDir, 'ca.crt'), registry.ca, { mode: 0o600 });
  }
  return {
    host: registryName(registry),
    options: {
      ...(username === undefined || password === undefined ? {} : { credential: { username, password } }),
      ...(registry.insecure ? { plainHttp: true } : {}),
      ...(registry.ca === undefined ? {} : { certDir }),
    },
  };
}
