/** Variables of the environment that more than one command looks at, for the help of the program; some stand for a flag. */
const VARIABLES: readonly (readonly [names: string, what: string])[] = [
  ['SLIPWAY_ROOT', 'where images and clusters are kept (--root)'],
  ['SLIPWAY_SSH_PASSWD', 'password of the user on the hosts (-p)'],
  ['SLIPWAY_SSH_PK_PASSWD', 'passphrase of the private key (--pk-passwd)'],
  ['SLIPWAY_SUDO_PASSWD', 'password for sudo on the hosts (--sudo-passwd)'],
  ['SLIPWAY_BASTION_PASSWD', 'password of the user on the bastion'],
  ['SSH_AUTH_SOCK', 'the SSH agent that has keys for the hosts'],
  ['DOCKER_CONFIG, REGISTRY_AUTH_FILE', 'where credentials of registries are'],
  ['SSL_CERT_FILE', "authorities that registries are trusted by, instead of the system's"],
  ['http_proxy, https_proxy, no_proxy', 'the way to registries'],
  ['SOURCE_DATE_EPOCH', 'build, merge: no time in the image is later than this second'],
  ['TMPDIR', 'where archives that come through a pipe are kept meanwhile (default: /var/tmp)'],
  ['NO_COLOR', 'set to anything: no colours'],
];

/** The heading of {@link environmentHelp}. */
export const ENVIRONMENT_HEADING = 'Environment:';

/** What stands in the help of the program behind its commands. */
export function environmentHelp(): string {
  const width = Math.max(...VARIABLES.map(([names]) => names.length));
  const lines = VARIABLES.map(([names, what]) => `  ${names.padEnd(width)}  ${what}`);
  return `\n${ENVIRONMENT_HEADING}\n${lines.join('\n')}`;
}
