import { type CompletedCommand, HOSTS_AWK, PLACES, type Source } from './commands.js';

/**
 * A script for bash. What comes from a store is never given to `compgen -W`, which would carry out what stands in a name.
 */
export function bashScript(commands: readonly CompletedCommand[]): string {
  const top = commands.filter(({ name }) => !name.includes(' '));
  const groups = commands.filter(({ name }) => name.includes(' ')).map(({ name }) => `"${name}"`);
  const arguments_ = commands.map(
    ({ name, aliases, flags, argument }) =>
      `    ${[name, ...aliases].map((each) => `"${each}"`).join(' | ')}) flags="${flags.join(' ')}"; source="${sourceText(argument)}" ;;`,
  );
  const values = commands.flatMap(({ name, values: list }) =>
    list.map(([flag, source]) => `    "${name} ${flag}") source="${sourceText(source)}"; word_is_value=1 ;;`),
  );
  return `# bash completion for slipway
_slipway_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

# those of the lines that come in which begin with $1
_slipway_lines() {
  local line
  while IFS= read -r line; do
    if [ -n "$line" ] && [[ $line == "$1"* ]]; then printf -v line %q "$line"; COMPREPLY+=("$line"); fi
  done
  __ltrim_colon_completions "$1" 2>/dev/null
}

_slipway() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= flags= source= word_is_value= at name value root=()
  COMPREPLY=()
  # "=" is a word of its own for bash
  if [ "$word" = = ]; then word=; elif [ "$previous" = = ] && [ "$COMP_CWORD" -gt 1 ]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((at = 1; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in
      --root | --format | --progress)
        name=\${COMP_WORDS[at]}
        if [ "\${COMP_WORDS[at+1]}" = = ]; then at=$((at + 1)); fi
        at=$((at + 1))
        value=\${COMP_WORDS[at]/#\\~/$HOME}
        if [ "$name" = --root ] && [ "$at" -lt "$COMP_CWORD" ] && [ -n "$value" ]; then root=(--root "$value"); fi
        ;;
      -*) ;;
      *)
        if [ -z "$command" ]; then
          command=\${COMP_WORDS[at]}
        else
          case "$command \${COMP_WORDS[at]}" in
            ${groups.join(' | ')}) command="$command \${COMP_WORDS[at]}" ;;
          esac
        fi
        ;;
    esac
  done
  if [ -z "$command" ] && [ "$previous" = --root ]; then _slipway_files -d "$word"; return; fi
  if [ -z "$command" ]; then
    COMPREPLY=($(compgen -W "${top.flatMap(({ name, aliases }) => [name, ...aliases]).join(' ')}" -- "$word"))
    return
  fi
  case "$command" in
${arguments_.join('\n')}
  esac
  case "$command $previous" in
${values.join('\n')}
  esac
  if [ -z "$word_is_value" ] && [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word")); return; fi
  case "$source" in
    file | '') if [ -n "$source" ] || [ -z "$word_is_value" ]; then _slipway_files -f "$word"; fi ;;
    directory) _slipway_files -d "$word" ;;
    image) _slipway_lines "$word" < <(slipway "\${root[@]}" images 2>/dev/null | awk 'NR>1 {print $1}') ;;
    cluster) _slipway_lines "$word" < <(slipway "\${root[@]}" status --list -q 2>/dev/null) ;;
    master | worker)
      name=0
      if [ "$source" = master ]; then name=1; fi
      _slipway_lines "$word" < <(slipway "\${root[@]}" status --list --json 2>/dev/null | awk -F'"' -v masters="$name" '${HOSTS_AWK}')
      ;;
    mount) _slipway_lines "$word" < <(slipway "\${root[@]}" mount 2>/dev/null | awk -F '   +' 'NR>1 {print $2; print $1}') ;;
    place)
      compopt -o nospace 2>/dev/null
      # a colon ends a word for bash: what follows "oci:" is completed as a file
      if [ "$word" = : ] || [ "$previous" = : ]; then _slipway_files -f "\${word#:}"; return; fi
      _slipway_lines "$word" < <(printf '%s\\n' ${PLACES.join(' ')}; slipway "\${root[@]}" images 2>/dev/null | awk 'NR>1 {print $1}')
      ;;
    *) COMPREPLY=($(compgen -W "$source" -- "$word")) ;;
  esac
}
complete -F _slipway slipway`;
}

function sourceText(source: Source): string {
  return typeof source === 'string' ? source : source.join(' ');
}
