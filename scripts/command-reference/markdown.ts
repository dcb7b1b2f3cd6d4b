/** Text of a help in a table or a paragraph: what Markdown would read as something else is shown as it is. */
export function prose(text: string): string {
  return text.replace(/[\\`*_[\]<>|]/g, (character) => `\\${character}`).replace(/(?<=\w)\\_(?=\w)/g, '_');
}

/** In a table a bar must be escaped, in code too. */
export function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``;
}

export function codeBlock(language: string, lines: readonly string[]): string {
  return ['```'.concat(language), ...lines, '```'].join('\n');
}

export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(heading), `|${'---|'.repeat(heading.length)}`, ...rows.map(line)].join('\n');
}

/** The anchor that GitHub, GitLab and others give a heading. */
export function headingAnchor(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number}\p{Mark}_ -]/gu, '')
    .replaceAll(' ', '-');
}
