// node bench/pack.mjs DIR OUT [COMPRESSION]: packs a directory into a layer, with all digests.
import { packLayer, scanTree } from '../dist/measured.js';

const [dir, out, compression = 'none'] = process.argv.slice(2);
const { digest } = await packLayer(await scanTree(dir), out, { compression });
process.stdout.write(`${digest}\n`);
