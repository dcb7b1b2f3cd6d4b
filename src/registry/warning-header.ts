/**
 * The texts of Warning headers of code 299, which a registry uses to talk to people; distribution-spec, "Warnings": the agent is `-` and
 * there is no date. Control characters are taken out: the text goes to a terminal.
 */
export function parseWarnings(header: string | readonly string[] | undefined): readonly string[] {
  const headers = header === undefined ? [] : typeof header === 'string' ? [header] : header;
  return headers.flatMap((line) =>
    [...line.matchAll(/(?:^|,)\s*299 - "((?:[^"\\]|\\.)*)"/g)].map((match) =>
      (match[1] ?? '')
        .replace(/\\(.)/g, '$1')
        .replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
        .slice(0, 500),
    ),
  );
}
