import { errnoOf } from '../base/errors.js';
import { readRegularFile } from '../base/read-regular-file.js';
import type { RegistrySettings } from './config-text.js';

/**
 * Reads the `registries` section of a config file (docs/config.md):
 * ```yaml
 * registries:
 *   mirrors: { docker.io: ["mirror.lan:5000"] }
 *   plainHttp: ["mirror.lan:5000"]
 * ```
 * @returns {} when there is no file. @throws SlipwayError E_USAGE with file, line and column.
 */
export async function readRegistrySettings(file: string): Promise<RegistrySettings> {
  let text: string;
  try {
    text = await readRegularFile(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {};
    throw error;
  }
  // Most have no config file, and need no YAML.
  const { parseRegistrySettings } = await import('./config-text.js');
  return parseRegistrySettings(text, file);
}
