import { readFileSync } from 'node:fs';

/** True for root of the whole system, who may give files away, make devices and set `trusted.` attributes; not for root of a user namespace. */
export function isSystemRoot(): boolean {
  return process.getuid?.() === 0 && !inUserNamespace();
}

/**
 * The prefix of the extended attributes that overlayfs keeps its marks in: `trusted.` for root; in a user namespace, and for ordinary
 * users, it is `user.` (mount option userxattr).
 */
export function overlayXattrPrefix(): 'trusted' | 'user' {
  return isSystemRoot() ? 'trusted' : 'user';
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
