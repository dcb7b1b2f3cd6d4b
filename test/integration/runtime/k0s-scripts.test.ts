import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import * as scripts from '../../../src/runtime/k0s/reset-script.js';

it.each(Object.entries(scripts))('%s, which runs on hosts, is clean under shellcheck', (_name, text) => {
  expect(execFileSync('shellcheck', ['--shell=sh', '-'], { input: text, encoding: 'utf8' })).toBe('');
});
