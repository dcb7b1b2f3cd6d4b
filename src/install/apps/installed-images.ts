import { isSlipwayError } from '../../base/errors.js';
import type { Store } from '../../store/store.js';
import { type AppImages, imageEntries } from '../files/app-files.js';
import { type ApplicationImage, loadApplicationImage } from '../files/install-image.js';
import type { PreflightProblem } from '../plan/preflight.js';
import type { AppState } from '../state/app-state.js';

/** The image that an application was installed from; undefined when the store does not have it any more. */
export async function installedImage(
  store: Store,
  { image }: Pick<AppState, 'image'>,
): Promise<ApplicationImage | undefined> {
  try {
    return await loadApplicationImage(store, `${image.name}@${image.digest}`);
  } catch (error) {
    if (isSlipwayError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** The container images of installed applications, of those whose image is in the store. */
export async function installedImages(store: Store, applications: readonly AppState[]): Promise<readonly AppImages[]> {
  const found: AppImages[] = [];
  for (const app of applications) {
    if (!app.servesImages || app.phase === 'deleting') continue;
    const image = await installedImage(store, app);
    if (image !== undefined) found.push({ name: app.name, entries: imageEntries(image.rootfs.entries) });
  }
  return found;
}

/** Hosts that begin to serve the registry need the container images of every application. @param before as the last command left them. */
export function missingImages(
  before: readonly AppState[],
  registryHosts: readonly string[],
  images: readonly Pick<AppImages, 'name'>[],
): readonly PreflightProblem[] {
  return before.flatMap(({ name, image, hosts, servesImages, phase }) => {
    if (!servesImages || phase === 'deleting' || images.some((one) => one.name === name)) return [];
    return registryHosts
      .filter((address) => !hosts.includes(address))
      .map((host) => ({
        host,
        problem: `it is to serve the registry, and ${image.name}, with the container images of the application ${name}, is not in the store`,
        hint: `"slipway pull ${image.name}" or "slipway load" bring it; or "slipway delete-app ${name}"`,
      }));
  });
}
