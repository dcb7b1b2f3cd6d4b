import { STORAGE_ROOT } from '../../registry/distribution-paths.js';
import { REGISTRY_DIR } from '../state/cluster-paths.js';
import type { HostListing } from './host-listing.js';
import type { HostToc } from './host-toc.js';

const ROOT = `${REGISTRY_DIR}/${STORAGE_ROOT}/`;
const LINK =
  /^repositories\/(.+)\/(?:_layers|_manifests\/(?:revisions|tags\/[^/]+\/index))\/sha\d+\/([a-f0-9]+)\/link$/;
const BLOB = /^blobs\/sha\d+\/[a-f0-9]{2}\/([a-f0-9]+)\/data$/;

/**
 * What of the registry's content stays on a host although the image does not bring it any more: images that were pushed to the registry may
 * be made of the same layers. In a repository to which something was pushed the links to layers and manifests stay, and what these name.
 * Pure.
 */
export function neededByPushed(listing: HostListing, toc: HostToc): (path: string) => boolean {
  const links = [...listing.keys()].flatMap((path) => {
    const [, repository = '', hex = ''] = (path.startsWith(ROOT) && LINK.exec(path.slice(ROOT.length))) || [];
    return repository === '' ? [] : [{ path, repository, hex }];
  });
  const pushed = new Set(links.filter(({ path }) => !toc.has(path)).map(({ repository }) => repository));
  if (pushed.size === 0) return () => false;
  const needed = new Set(links.filter(({ repository }) => pushed.has(repository)).map(({ hex }) => hex));
  return (path) => {
    if (!path.startsWith(ROOT)) return false;
    const own = path.slice(ROOT.length);
    const [, repository] = LINK.exec(own) ?? [];
    if (repository !== undefined) return pushed.has(repository) && !own.includes('/_manifests/tags/');
    return needed.has(BLOB.exec(own)?.[1] ?? '');
  };
}
