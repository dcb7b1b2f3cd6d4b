/** What the benchmarks call in processes of their own. */
export { parseKubefileLenient } from '../src/kubefile-parser/parse.js';
export { packLayer } from '../src/layers/pack.js';
export { scanTree } from '../src/layers/scan.js';
export { lintText } from '../src/lint/lint.js';
