/** Set in the flags of a socket that listens (`__SO_ACCEPTCON`). */
const LISTENING = 0x10000;

/**
 * The paths of the sockets that somebody of this machine listens on, from the text of /proc/net/unix. A read-only mount does
 * not stop a connection to a socket, and behind one may be a container engine that does anything for root: they are covered in the sandbox.
 * Datagram sockets never listen; those are given too. Abstract ones (`@name`) have no path and belong to the network namespace.
 */
export function listeningSockets(table: string): readonly string[] {
  const paths = table
    .split('\n')
    .slice(1)
    .flatMap((row) => {
      // Num RefCount Protocol Flags Type St Inode Path; a path may have blanks in it.
      const match = /^\S+: \S+ \S+ (\S+) (\S+) \S+ +\d+ (\/.*)$/.exec(row);
      if (match === null) return [];
      const [, flags = '0', type = '0', path = ''] = match;
      const connectable = (Number.parseInt(flags, 16) & LISTENING) !== 0 || Number.parseInt(type, 16) === 2;
      return connectable ? [path] : [];
    });
  return [...new Set(paths)];
}
