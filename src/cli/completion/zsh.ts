import { type CompletedCommand, HOSTS_AWK, PLACES, type Source } from './commands.js';

/** A script for zsh. */
export function zshScript(commands: readonly CompletedCommand[]): string {
  const top = commands.filter(({ name }) => !name.includes(' '));
  const groups = commands.filter(({ name }) => name.includes(' ')).map(({ name }) => `'${name}'`);
  const list = top.map(({ name, summary }) => `    '${name}:${quoted(summary).replaceAll(':', '\\:')}'`);
  const values = commands.flatMap(({ name, values: flags }) =>
    flags.map(([flag, source]) => `    '${name} ${flag}') ${completer(source)}; return ;;`),
  );
  const cases = commands.map(
    ({ name, aliases, flags, argument }) =>
      `    ${[name, ...aliases].map((each) => `'${each}'`).join(' | ')}) if [[ $words[CURRENT] == -* ]]; then compadd -- ${flags.join(' ')}; else ${completer(argument)}; fi ;;`,
  );
  return `#compdef slipway
_slipway_images() { compadd -- \${(f)"$(slipway "\${root[@]}" images 2>/dev/null | awk 'NR>1 {print $1}')"} }
_slipway_clusters() { compadd -- \${(f)"$(slipway "\${root[@]}" status --list -q 2>/dev/null)"} }
_slipway_hosts() { compadd -- \${(f)"$(slipway "\${root[@]}" status --list --json 2>/dev/null | awk -F'"' -v masters="$1" '${HOSTS_AWK}')"} }
_slipway_mounts() { compadd -- \${(f)"$(slipway "\${root[@]}" mount 2>/dev/null | awk -F '   +' 'NR>1 {print $2; print $1}')"} }
_slipway() {
  local -a commands=(
${list.join('\n')}
  )
  local -a root=()
  local command= at
  for ((at = 2; at < CURRENT; at++)); do
    case $words[at] in
      --root) root=(--root "\${words[at+1]/#\\~/$HOME}"); at=$((at + 1)) ;;
      --root=*) root=(--root "\${\${words[at]#--root=}/#\\~/$HOME}") ;;
      --format | --progress) at=$((at + 1)) ;;
      -*) ;;
      *)
        if [[ -z $command ]]; then
          command=$words[at]
        else
          case "$command $words[at]" in
            ${groups.join(' | ')}) command="$command $words[at]" ;;
          esac
        fi
        ;;
    esac
  done
  if [[ -z $command && $words[CURRENT-1] == --root ]]; then _files -/; return; fi
  if [[ -z $command ]]; then _describe command commands; return; fi
  case "$command $words[CURRENT-1]" in
${values.join('\n')}
  esac
  case $command in
${cases.join('\n')}
  esac
}
_slipway "$@"`;
}

function completer(source: Source): string {
  if (typeof source !== 'string') return source.length === 0 ? ':' : `compadd -- ${source.join(' ')}`;
  switch (source) {
    case 'file':
      return '_files';
    case 'directory':
      return '_files -/';
    case 'image':
      return '_slipway_images';
    case 'cluster':
      return '_slipway_clusters';
    case 'master':
      return '_slipway_hosts 1';
    case 'worker':
      return '_slipway_hosts 0';
    case 'mount':
      return '_slipway_mounts';
    case 'place':
      return `compadd -S '' -- ${PLACES.join(' ')}; _slipway_images; _files`;
  }
}

function quoted(text: string): string {
  return text.replaceAll("'", "'\\''");
}
