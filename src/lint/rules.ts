/** How much a finding matters: an `error` makes the build fail, a `warning` is probably not what was meant, `info` is advice. */
export const SEVERITIES = ['error', 'warning', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Rule {
  /** As a rule; a single finding may weigh less when less is known. */
  readonly severity: Severity;
  /** One line for the list of rules. */
  readonly summary: string;
}

/**
 * Every rule, by its stable name. docs/lint.md has the same table; a test keeps the two equal.
 * Where a rule has a peer among BuildKit's build checks or hadolint's rules, it means the same.
 */
export const RULES = {
  // what the parser says
  syntax: { severity: 'error', summary: 'the file cannot be read: whatever `build` refuses before it begins' },
  'misplaced-directive': { severity: 'warning', summary: 'a parser directive that is not at the top has no effect' },
  'empty-continuation': { severity: 'warning', summary: 'an empty line inside a continued instruction' },
  'unfinished-continuation': { severity: 'warning', summary: 'the last line ends in the escape character' },
  'invalid-json': { severity: 'warning', summary: 'looks like the JSON form, and is read as plain text' },
  'inline-comment': { severity: 'warning', summary: '`#` behind an instruction does not begin a comment' },
  'comma-separated-arg': { severity: 'warning', summary: "sealer's old comma list of ARG" },
  'comma-separated-cmd': { severity: 'warning', summary: "a comma that sealer's old CMD would have parted at" },
  'cmd-and-cmds': { severity: 'warning', summary: 'CMD and CMDS in one stage' },
  'stage-shadows-image': { severity: 'warning', summary: 'an image with the name of a stage that comes later' },
  'ignored-instruction': { severity: 'warning', summary: 'an instruction that a ClusterImage does not use' },
  // variables
  'undefined-variable': {
    severity: 'warning',
    summary: 'a variable that nothing declares (info when the base image, which is not looked at, may set it)',
  },
  'unset-variable': {
    severity: 'info',
    summary: 'an ARG without a default and without a value from --build-arg is expanded',
  },
  'unused-arg': {
    severity: 'warning',
    summary: 'an ARG that nothing uses (info when a RUN may read it from its environment)',
  },
  'unknown-build-arg': { severity: 'warning', summary: 'a --build-arg that no ARG declares' },
  'overrides-predefined': {
    severity: 'warning',
    summary: 'ARG or ENV puts its own value over a variable of the platform, such as ARCH',
  },
  'arg-in-command': {
    severity: 'warning',
    summary: 'CMD, CMDS or APPCMDS uses an ARG, which is gone when the cluster is launched',
  },
  'secret-in-variable': { severity: 'warning', summary: 'the name of an ARG or ENV looks like that of a secret' },
  // stages and images
  'unreachable-stage': { severity: 'warning', summary: 'a stage that neither the last one nor the target needs' },
  'unused-stage-name': { severity: 'info', summary: 'a stage has a name, and is referred to by its number only' },
  'untagged-image': { severity: 'warning', summary: 'an image without tag and digest: `latest` is meant' },
  'latest-image': { severity: 'warning', summary: 'an image with the tag `latest`' },
  'invalid-image': { severity: 'error', summary: 'the name of an image that cannot be read' },
  'invalid-platform': { severity: 'error', summary: '`--platform` of a FROM that cannot be read' },
  'fixed-platform': { severity: 'info', summary: '`FROM --platform` with a constant: the image is for it alone' },
  // layers
  'copy-after-base': { severity: 'warning', summary: 'BASE stands before a COPY that brings manifests or image lists' },
  'add-instead-of-copy': { severity: 'info', summary: 'ADD of plain files, where COPY says what is meant' },
  'add-without-checksum': { severity: 'warning', summary: 'ADD of a URL without `--checksum`' },
  'relative-workdir': { severity: 'warning', summary: 'a relative WORKDIR over a base image that may set its own' },
  'run-without-effect': { severity: 'warning', summary: '`RUN cd`, `RUN export` …: the next RUN does not see it' },
  'run-sudo': { severity: 'warning', summary: '`sudo` in a RUN' },
  'pipe-hides-failure': { severity: 'info', summary: 'a download in front of a pipe: its failure is not noticed' },
  'exec-form-shell-syntax': { severity: 'warning', summary: 'shell syntax in the JSON form, which no shell reads' },
  // the cluster image
  'duplicate-label': { severity: 'warning', summary: 'a LABEL is set twice in a stage' },
  'repeated-command': {
    severity: 'warning',
    summary: 'a second CMD or ENTRYPOINT in the docker dialect, where only the last counts',
  },
  'host-only-path': {
    severity: 'warning',
    summary: 'a launch command names a path that only the building machine has, or that is outside the rootfs',
  },
  'unknown-application': {
    severity: 'warning',
    summary: 'LAUNCH, APPCMDS or APPENV name an application that no APP declares',
  },
  'invalid-kube-version': { severity: 'error', summary: 'KUBEVERSION is no semver range' },
  // style
  'maintainer-deprecated': { severity: 'warning', summary: 'MAINTAINER, where a LABEL is usual' },
  'legacy-key-value': { severity: 'info', summary: '`ENV NAME VALUE` without `=`' },
  'inconsistent-case': { severity: 'info', summary: 'instructions in upper case and in lower case in one file' },
  // the build context; not checked with --no-context
  'copy-source-missing': { severity: 'error', summary: 'a COPY or ADD source that is not in the build context' },
  'copy-source-not-fetched': {
    severity: 'info',
    summary: 'a source that depends on the platform is not in the build context: it may have to be fetched first',
  },
  'copy-source-hidden': { severity: 'error', summary: 'a COPY or ADD source that an ignore file hides' },
  'copy-matches-nothing': {
    severity: 'error',
    summary: 'a wildcard without a match (warning when another source of the instruction has one)',
  },
  'copy-impossible': {
    severity: 'error',
    summary: 'a COPY that would fail: file over directory, a socket, an ignore file that cannot be read …',
  },
  'copy-overwrites': {
    severity: 'warning',
    summary: 'a COPY overwrites files of an earlier layer, which stay in the image',
  },
  'missing-contract-directory': {
    severity: 'warning',
    summary: "a kube-installer's rootfs has no bin, etc, scripts or Metadata",
  },
  'invalid-metadata': { severity: 'error', summary: 'Metadata of the rootfs is malformed or contradicts the platform' },
  'missing-launch-file': {
    severity: 'warning',
    summary: 'a launch command applies or runs a file that the rootfs does not have',
  },
  // suppressions
  'unknown-rule': {
    severity: 'warning',
    summary: 'a suppression names a rule that does not exist, or one that cannot be suppressed',
  },
  'unused-suppression': { severity: 'info', summary: 'a suppression that suppresses nothing' },
} as const satisfies Record<string, Rule>;

export type RuleId = keyof typeof RULES;

export function isRule(name: string): name is RuleId {
  return Object.hasOwn(RULES, name);
}
