import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** Slipway's version, for the User-Agent; from package.json beside `src/` or `dist/`. */
export const VERSION = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))).version;
