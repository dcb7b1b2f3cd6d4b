import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { k0sFacts } from './cluster.js';
import { k0sConfigText } from './config.js';
import { PATHS } from './paths.js';

const TIMEOUT_MS = 20 * 60_000;

/** Archives of container images in a rootfs that are k0s' to import: `k0s-airgap-bundle-v1.31.14+k0s.0-amd64`, with or without `.tar`. */
const BUNDLES = 'images/k0s-airgap-bundle-*';

/**
 * Lets k0s have the image archives of the rootfs. It imports whatever appears in its directory, so each is copied beside it and
 * renamed into it whole; one of an earlier image goes.
 */
export async function placeBundles(host: Host, rootfs: string, signal?: AbortSignal): Promise<void> {
  await host.run(
    `mkdir -p ${PATHS.images} || exit 1
for f in ${shellQuote(rootfs)}/${BUNDLES}; do
  [ -f "$f" ] || continue
  name=\${f##*/}
  cmp -s "$f" ${PATHS.images}/"$name" && continue
  cp "$f" ${PATHS.data}/.slipway-bundle.new && chmod 644 ${PATHS.data}/.slipway-bundle.new && mv -f ${PATHS.data}/.slipway-bundle.new ${PATHS.images}/"$name" || exit 1
done
for f in ${PATHS.data}/${BUNDLES}; do
  [ ! -f "$f" ] || [ -f ${shellQuote(`${rootfs}/images`)}/"\${f##*/}" ] || rm -f "$f"
done`,
    { title: 'handing image archives to k0s', timeoutMs: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) },
  );
}

/**
 * Lets a node have the images of the version in the context before anything is stopped: archives of the rootfs as they are, the others from
 * the cluster's registry. The k0s of the image says which they are, for the configuration that it is going to have; the containerd of the
 * k0s that runs fetches them.
 */
export function preloadStep(host: Host, cluster: ClusterContext): DriverStep {
  const { rootfs } = cluster;
  const newK0s = `${rootfs}/bin/k0s`;
  const listed = async (signal?: AbortSignal): Promise<readonly string[]> => {
    const options = { timeoutMs: 60_000, ...(signal === undefined ? {} : { signal }) };
    const { stdout: defaults } = await host.run(`${shellQuote(newK0s)} config create`, {
      ...options,
      title: 'k0s config create',
    });
    const { stdout } = await host.run(
      `umask 077
mkdir -p /run/slipway && cat >${IMAGES_CONFIG} || exit 1
${shellQuote(newK0s)} airgap list-images --config=${IMAGES_CONFIG}
code=$?
rm -f ${IMAGES_CONFIG}
rmdir /run/slipway 2>/dev/null
exit $code`,
      {
        ...options,
        title: 'k0s airgap list-images',
        stdin: k0sConfigText(defaults, k0sFacts(cluster), host.address),
      },
    );
    return stdout.split('\n').filter((line) => /^[a-z0-9]\S*$/i.test(line));
  };
  return {
    title: 'fetch images',
    async done() {
      const { code } = await host.run(
        `for f in ${shellQuote(rootfs)}/${BUNDLES}; do
  [ ! -f "$f" ] || cmp -s "$f" ${PATHS.images}/"\${f##*/}" || exit 1
done
${HAVE}
for image in ${(await listed()).map(shellQuote).join(' ')}; do has "$image" || exit 1; done`,
        { allowFailure: true, title: 'looking for the images', timeoutMs: 120_000 },
      );
      return code === 0;
    },
    async run(note, signal) {
      await placeBundles(host, rootfs, signal);
      const { stdout } = await host.run(
        `${HAVE}
for image in ${(await listed(signal)).map(shellQuote).join(' ')}; do
  has "$image" || ${PATHS.binary} ctr images pull --hosts-dir /etc/containerd/certs.d "$image" >/dev/null || echo "$image"
done`,
        { title: 'k0s ctr images pull', timeoutMs: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) },
      );
      // k0s names more than a cluster may use (Calico, always): an image may do without; what is needed is pulled when it is.
      const missing = stdout.split('\n').filter((line) => line !== '');
      if (missing.length > 0) note(`not fetched ahead: ${missing.join(', ')}`);
    },
  };
}

const IMAGES_CONFIG = '/run/slipway/k0s-images.yaml';

/** Shell: whether the containerd of the k0s that runs has an image. */
const HAVE = `list=$(${PATHS.binary} ctr images ls -q) || exit 1
has() { printf '%s\\n' "$list" | grep -qxF -- "$1"; }`;
