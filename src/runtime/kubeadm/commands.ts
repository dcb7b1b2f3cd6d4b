import { shellQuote } from '../../hosts/shell-script.js';
import { kubectlBy, onHost } from '../kubernetes/ask.js';
import { PATHS } from './paths.js';

/** `kubectl` with the administrator's rights, on a master. */
export const kubectl = kubectlBy(PATHS.admin, (host, rootfs, words, options) =>
  onHost(host, rootfs, words.map(shellQuote).join(' '), options),
);
