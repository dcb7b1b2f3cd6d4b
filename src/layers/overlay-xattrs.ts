import { readFileSync } from 'node:fs';

/**
 * The prefix of the extended attributes that overlayfs keeps its marks in: `trusted.` needs CAP_SYS_ADMIN of the whole system; in a user
 * namespace, and for ordinary users, it is `user.` (mount option userxattr).
 */
export function overlayXattrPrefix(): 'trusted' | 'user' {
  return process.getuid?.() === 0 && !inUserNamespace() ? 'trusted' : 'user';
}

/** The attribute of an opaque directory; its value is `y`. */
export function opaqueXattr(): string {
  return `${overlayXattrPrefix()}.overlay.opaque`;
}

function inUserNamespace(): boolean {
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
  } catch {
    return false;
  }
}
