import type { AddInstruction, Instruction } from '../../kubefile-parser/ast.js';
import type { Check } from '../check.js';

/** `add-instead-of-copy` and `add-without-checksum`. */
export const checkAdd: Check = ({ report }) => ({
  instruction(instruction, scope) {
    if (instruction.kind !== 'ADD') return;
    const sources = instruction.sources.map((word) => scope.expand(word).value ?? word.raw);
    if (sources.some((source) => /^https?:/i.test(source) && !isGit(source)) && instruction.checksum === undefined)
      report(
        'add-without-checksum',
        instruction.position,
        'ADD of a URL without --checksum takes whatever the server sends',
        'write ADD --checksum=sha256:… URL DESTINATION',
      );
    if (
      !instruction.sources.some(({ raw }) => raw.includes('$')) &&
      sources.every(isPlainFile) &&
      onlyCopies(instruction)
    )
      report(
        'add-instead-of-copy',
        instruction.position,
        'ADD does what COPY does here',
        'write COPY: it never unpacks and never downloads, whatever the files are called',
      );
  },
});

function isGit(source: string): boolean {
  return /^git@|^git:|^ssh:|\.git(?:[#?]|$)/.test(source);
}

function isPlainFile(source: string): boolean {
  return (
    !/^[a-z][a-z0-9+.-]*:/i.test(source) &&
    !isGit(source) &&
    !/\.(?:tar|t[gxbz]z\d?|tzst|tar\.\w+|gz|bz2|xz|zst)$/i.test(source) &&
    !/[*?[]/.test(source)
  );
}

function onlyCopies({ checksum, heredocs, keepGitDir }: AddInstruction): boolean {
  return checksum === undefined && heredocs.length === 0 && !keepGitDir;
}

/** `copy-after-base`: BASE collects the container images of what is there when it is reached. */
export const checkBaseOrder: Check = ({ report }) => {
  let base: Instruction | undefined;
  return {
    from: () => {
      base = undefined;
    },
    instruction(instruction) {
      if (instruction.kind === 'BASE') base = instruction;
      if (base === undefined || (instruction.kind !== 'COPY' && instruction.kind !== 'ADD')) return;
      const names = [...instruction.sources, instruction.destination].map(({ raw }) => raw);
      if (names.some((name) => /(?:^|\/)(?:imageList|manifests|charts)(?:\/|$)/.test(name)))
        report(
          'copy-after-base',
          instruction.position,
          `the container images of what this brings are not collected: BASE stands before it, in line ${base.position.line}`,
          'put BASE behind it',
        );
    },
  };
};

/** `relative-workdir`. */
export const checkWorkdir: Check = ({ report }) => {
  let known = false;
  return {
    from(_from, { selfContained }) {
      known = selfContained;
    },
    instruction(instruction, scope) {
      if (instruction.kind !== 'WORKDIR') return;
      const path = scope.expand(instruction.path).value;
      if (path === undefined || path.startsWith('/')) known = true;
      else if (!known) {
        report(
          'relative-workdir',
          instruction.path.position,
          `where ${path} is depends on the WORKDIR of the base image`,
          `write the whole path: WORKDIR /${path.replace(/^\.\//, '')}`,
        );
        known = true;
      }
    },
  };
};
