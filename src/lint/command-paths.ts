/** A word of a command that names a file: no flag, no address, nothing that a variable or a wildcard is part of. */
const PATH = /^(?:~?\/|\.{1,2}\/|\$\{?HOME\b|[\w@%+-])[^\s]*$/;

/** The longest command that is looked at. */
const LONGEST = 16_384;

/** The words of a shell command that look like paths: they hold a `/`. Values of `--flag=PATH` count. */
export function commandPaths(text: string): string[] {
  return wordsOf(text).filter((word) => word.includes('/') && PATH.test(word) && !/^[a-z][a-z0-9+.-]*:/i.test(word));
}

/**
 * The files that a shell command reads from the directory it is run in: what `-f`, `--filename`, `-k`, `--values` of kubectl and helm name, and
 * the script that a shell is given. Only plain relative paths.
 */
export function commandFiles(text: string): string[] {
  if (/\b(?:cd|pushd)\s/.test(text)) return [];
  const files: string[] = [];
  const words = wordsOf(text);
  for (const [index, word] of words.entries()) {
    const before = words[index - 1] ?? '';
    const afterFlag = /^(?:-f|--filename|-k|--kustomize|--values)$/.test(before);
    const afterShell = /(?:^|\/)(?:ba|da|z|k)?sh$/.test(before);
    if ((afterFlag || afterShell) && /^(?:\.\/)?[\w@%+][\w@%+./-]*$/.test(word) && !word.split('/').includes('..'))
      files.push(word.replace(/^\.\//, ''));
  }
  return files;
}

function wordsOf(text: string): string[] {
  return text
    .slice(0, LONGEST)
    .split(/[\s;&|<>()"'`]+/)
    .flatMap((word) => (word.startsWith('-') && word.includes('=') ? word.split(/=(.*)/s, 2) : [word]));
}
