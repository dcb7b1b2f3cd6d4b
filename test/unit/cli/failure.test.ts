import { afterEach, expect, it, vi } from 'vitest';
import { SlipwayError } from '../../../src/base/errors.js';
import { registerSecret } from '../../../src/base/redact.js';
import { reportFailure } from '../../../src/cli/failure.js';

afterEach(() => vi.restoreAllMocks());

/** What is printed of an error that repeats a secret, and what a terminal would obey, wherever it can. */
function printed(...argv: string[]): string {
  registerSecret('hunter22-\\"x');
  const said: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  const text = 'it is hunter22-\\"x \u001b]0;owned\u0007';
  reportFailure(
    new SlipwayError('E_REGISTRY', text, {
      hint: text,
      details: { errors: [{ message: text }] },
      cause: new Error(text),
    }),
    argv,
  );
  return said.join('');
}

it.each([[[]], [['--debug']], [['--json']], [['--json', '--debug']]])(
  'no secret and no escape comes out with %j',
  (argv) => {
    const text = printed(...argv);
    expect(text).toContain('it is ***');
    expect(text).not.toContain('hunter22');
    expect(text).not.toMatch(/[\u001b\u0007]/);
  },
);

it('JSON stays JSON', () => {
  expect(JSON.parse(printed('--json')).error.details.errors[0].message).toContain('it is ***');
});
