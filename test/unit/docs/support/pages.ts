import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { headingAnchor } from '../../../../scripts/command-reference/markdown.js';

export const PROJECT = fileURLToPath(new URL('../../../../', import.meta.url));

/** Directories of which nothing is ours. */
const NOT_OURS = new Set(['node_modules', 'dist', '.git', 'coverage', '.cache']);

/** A page of Markdown: what is prose and what is code in it, each with its line. */
export interface Page {
  /** From the root of the project. */
  readonly file: string;
  /** Paragraphs, lists and tables, without what is in backticks. */
  readonly prose: readonly Line[];
  /** What is in backticks. */
  readonly spans: readonly Line[];
  /** Lines of code blocks; those that end in a backslash with what follows. */
  readonly code: readonly Line[];
  readonly anchors: ReadonlySet<string>;
}

export interface Line {
  readonly line: number;
  readonly text: string;
}

/** All pages of the project. */
export function readPages(): Page[] {
  return markdownFiles(PROJECT).map((path) => readPage(relative(PROJECT, path), readFileSync(path, 'utf8')));
}

function markdownFiles(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : markdownFiles(path);
    return entry.isFile() && entry.name.endsWith('.md') ? [path] : [];
  });
}

export function readPage(file: string, text: string): Page {
  const prose: Line[] = [];
  const spans: Line[] = [];
  const code: Line[] = [];
  const headings: string[] = [];
  let fence: string | undefined;
  let continued: Line | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = index + 1;
    const mark = /^\s*(```+|~~~+)/.exec(raw)?.[1];
    if (fence !== undefined) {
      if (mark?.startsWith(fence)) fence = undefined;
      else {
        const whole: Line = { line: continued?.line ?? line, text: `${continued?.text ?? ''}${raw}` };
        continued = whole.text.endsWith('\\') ? { ...whole, text: whole.text.slice(0, -1) } : undefined;
        if (continued === undefined) code.push(whole);
      }
      continue;
    }
    if (mark !== undefined) {
      fence = mark;
      continue;
    }
    const heading = /^#{1,6} (.*)$/.exec(raw)?.[1];
    if (heading !== undefined) headings.push(heading.replaceAll('`', ''));
    const outside = raw.replace(/(`+)(.+?)\1(?!`)/g, (_match, _ticks, inside: string) => {
      // In tables a bar is escaped in code too.
      spans.push({ line, text: inside.replaceAll('\\|', '|').trim() });
      return '``';
    });
    prose.push({ line, text: outside });
  }
  return { file, prose, spans, code, anchors: anchorsOf(headings) };
}

/** Of headings that are equal the second has `-1` behind it. */
function anchorsOf(headings: readonly string[]): Set<string> {
  const anchors = new Set<string>();
  const count = new Map<string, number>();
  for (const heading of headings) {
    const anchor = headingAnchor(heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1'));
    const before = count.get(anchor) ?? 0;
    count.set(anchor, before + 1);
    anchors.add(before === 0 ? anchor : `${anchor}-${before}`);
  }
  return anchors;
}

/** Where the links of a page lead, but those to other sites. */
export function linksOf({ prose }: Page): Line[] {
  return prose.flatMap(({ line, text }) =>
    [...text.matchAll(/\]\(([^()\s]+)\)|^\[[^\]]+\]:\s+(\S+)/g)].flatMap(([, inline, reference]) => {
      const target = inline ?? reference ?? '';
      return /^[a-z][a-z0-9+.-]*:/i.test(target) ? [] : [{ line, text: target }];
    }),
  );
}
