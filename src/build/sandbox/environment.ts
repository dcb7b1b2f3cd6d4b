import { SlipwayError } from '../../base/errors.js';

/** Docker's PATH for an image that sets none. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const PROXY_NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * The environment of a host mode command: what the Kubefile gives, and of this machine's only PATH and the proxy
 * variables. PATH goes on without directories that are private in the sandbox (`hidden`: homes, /tmp): a shim found there
 * could not work. `rootfsBin` comes last.
 */
export function hostEnvironment(
  given: Readonly<Record<string, string>>,
  machine: Variables,
  {
    home,
    hidden,
    rootfsBin,
  }: { readonly home: string; readonly hidden: readonly string[]; readonly rootfsBin: string },
): Readonly<Record<string, string>> {
  const machinePath = (machine.PATH ?? DEFAULT_PATH)
    .split(':')
    .filter((directory) => directory.startsWith('/'))
    .filter((directory) => !hidden.some((place) => directory === place || directory.startsWith(`${place}/`)))
    .join(':');
  const path = given.PATH ?? (machinePath === '' ? DEFAULT_PATH : machinePath);
  return { HOME: home, ...proxies(machine), ...given, PATH: `${path}:${rootfsBin}` };
}

/** The environment of a container mode command: Docker's PATH, the user's HOME, the proxy variables, and what the Kubefile gives. */
export function containerEnvironment(
  given: Readonly<Record<string, string>>,
  machine: Variables,
  home: string,
): Readonly<Record<string, string>> {
  return { PATH: DEFAULT_PATH, HOME: home, ...proxies(machine), ...given };
}

/**
 * Refuses what no process can be given.
 * @throws SlipwayError E_USAGE for a NUL byte, or a name that is empty or has `=` in it
 */
export function checkEnvironment(given: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (name === '' || /[=\0]/.test(name))
      throw new SlipwayError('E_USAGE', `cannot run with the environment variable ${JSON.stringify(name)}: not a name`);
    if (value.includes('\0'))
      throw new SlipwayError('E_USAGE', `cannot run with the environment variable ${name}: its value has a NUL byte`);
  }
}

function proxies(machine: Variables): Record<string, string> {
  const names = PROXY_NAMES.flatMap((name) => [name, name.toLowerCase()]);
  return Object.fromEntries(names.flatMap((name) => (machine[name] ? [[name, machine[name]]] : [])));
}
