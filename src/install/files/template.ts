import { SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';

/** One action: `{{ … }}`, with `-` beside the braces trimming the white space there. */
const ACTION = /\{\{(-(?=\s))?((?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|[^"`])*?)((?<=\s)-)?\}\}/g;
const FIELD = /^\.([A-Za-z_]\w*)$/;
const STRING = /^"((?:[^"\\\n]|\\.)*)"$|^`([^`]*)`$/;
/** sealer's two functions, before the name or behind a pipe. */
const CALL = /^(?:(b64enc|b64dec)\s+\.([A-Za-z_]\w*)|\.([A-Za-z_]\w*)\s*\|\s*(b64enc|b64dec))$/;
const COMMENT = /^\/\*[\s\S]*\*\/$/;

/**
 * Renders a template of the kind sealer's images have, the part of Go's text/template that only fills in values: `{{ .Name }}`,
 * `{{ "text" }}`, `{{ b64enc .Name }}` and `{{ .Name | b64dec }}`, comments, and trim marks `{{-` `-}}`. A value goes in as it is, nothing is quoted or run.
 * @param what the file, for errors, which name its line.
 * @throws SlipwayError E_CLUSTERFILE for an unknown variable (with the nearest known one), E_UNSUPPORTED for an action that is
 * more than a value.
 */
export function renderTemplate(text: string, values: Readonly<Record<string, string>>, what: string): string {
  let rendered = '';
  let end = 0;
  let trimNext = false;
  const literal = (from: number, to: number, trimEnd: boolean): string => {
    let piece = text.slice(from, to);
    if (trimNext) piece = piece.trimStart();
    return trimEnd ? piece.trimEnd() : piece;
  };
  for (const match of text.matchAll(ACTION)) {
    const [whole, trimBefore, action = '', trimAfter] = match;
    const where = `${what}:${lineOf(text, match.index)}`;
    rendered += literal(end, match.index, trimBefore !== undefined);
    rendered += evaluate(action.trim(), values, where);
    trimNext = trimAfter !== undefined;
    end = match.index + whole.length;
  }
  const rest = literal(end, text.length, false);
  const open = text.indexOf('{{', end);
  if (open >= 0) {
    throw new SlipwayError('E_CLUSTERFILE', `${what}:${lineOf(text, open)}: "{{" is never closed`, {
      hint: 'close it with "}}"; for the two braces themselves write {{ "{{" }}',
    });
  }
  return rendered + rest;
}

function evaluate(action: string, values: Readonly<Record<string, string>>, where: string): string {
  if (COMMENT.test(action)) return '';
  const string = STRING.exec(action);
  if (string !== null) return string[1] === undefined ? (string[2] ?? '') : unquote(string[1]);
  const call = CALL.exec(action);
  const name = FIELD.exec(action)?.[1] ?? call?.[2] ?? call?.[3];
  if (name === undefined) {
    throw new SlipwayError('E_UNSUPPORTED', `${where}: cannot render {{ ${action.slice(0, 80)} }}`, {
      hint: 'templates fill in variables: {{ .Name }}; a text in braces is written {{ "text" }}',
    });
  }
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  if (value === undefined) {
    const near = suggest(name, Object.keys(values));
    throw new SlipwayError('E_CLUSTERFILE', `${where}: there is no variable ${name}`, {
      hint:
        near === undefined ? `give it with -e ${name}=VALUE` : `did you mean ${near}? Or give it with -e ${name}=VALUE`,
    });
  }
  const coding = call?.[1] ?? call?.[4];
  if (coding === 'b64enc') return Buffer.from(value).toString('base64');
  return coding === 'b64dec' ? Buffer.from(value, 'base64').toString('utf8') : value;
}

function unquote(text: string): string {
  return text.replace(/\\(.)/g, (_, char: string) => ({ n: '\n', t: '\t' })[char] ?? char);
}

function lineOf(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) line++;
  return line;
}
