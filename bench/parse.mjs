// node bench/parse.mjs parse|lint [again]: milliseconds that reading a Kubefile of 10 000 lines takes: the first time in a process, or again.
import { lintText, parseKubefileLenient } from '../dist/measured.js';

const block = [
  '# what every block does',
  'ARG VERSION=v1.29.2',
  'ENV NAME=value OTHER="two words" THIRD=${VERSION#v}',
  'COPY --chown=0:0 rootfs/etc/${ARCH} manifests/*.yaml /etc/cluster/',
  'RUN --mount=type=cache,target=/var/cache set -e; \\',
  '    for file in manifests/*; do sed "s/@VERSION@/$VERSION/" "$file" >"$file.new"; done',
  'COPY <<EOF manifests/site.yaml',
  'version: ${VERSION}',
  'EOF',
  'LABEL org.opencontainers.image.version=$VERSION',
];
const text = Buffer.from(
  `FROM scratch\n${Array.from({ length: 1000 }, () => block.join('\n')).join('\n')}`
    .split('\n')
    .slice(0, 10_000)
    .join('\n'),
);
const once = () => {
  const started = performance.now();
  const parsed = parseKubefileLenient(text, 'Kubefile');
  if (what === 'lint') lintText(parsed, { predefined: { ARCH: 'amd64' } });
  return performance.now() - started;
};
const [what, when] = process.argv.slice(2);
let time = once();
// What the code costs once the engine has compiled it, as benchmarks of compiled languages measure.
if (when === 'again') time = Math.min(...Array.from({ length: 10 }, once));
process.stdout.write(`${time.toFixed(1)}\n`);
