import { pathToBytes } from '../layers/path-bytes.js';
import { DEFAULT_LIMITS } from '../layers/tar-limits.js';

const LONGEST_NAME = 255;

/** Why a path cannot be in an image, or undefined: what is longer or deeper could be packed, and then not be unpacked anywhere. */
export function impossiblePath(path: string): string | undefined {
  if (path.length <= LONGEST_NAME / 4) return undefined; // at most four bytes a character
  const parts = path.split('/');
  const bytes = pathToBytes(path).length;
  const name = parts.find((part) => pathToBytes(part).length > LONGEST_NAME);
  const why =
    bytes > DEFAULT_LIMITS.pathLength
      ? `its path has ${bytes} bytes, at most ${DEFAULT_LIMITS.pathLength} are possible`
      : parts.length > DEFAULT_LIMITS.depth
        ? `it is ${parts.length} directories deep, at most ${DEFAULT_LIMITS.depth} are possible`
        : name !== undefined
          ? `the name ${name.slice(0, 40)}… is longer than ${LONGEST_NAME} bytes`
          : undefined;
  if (why === undefined) return undefined;
  const shown = path.length > 120 ? `${path.slice(0, 60)}…${path.slice(-40)}` : path;
  return `/${shown} cannot be in an image: ${why}`;
}
