import { appendFile, mkdtemp, readFile, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registerSecret } from '../../../src/base/redact.js';
import { Journal, lastEvents, readJournal } from '../../../src/install/state/journal.js';

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slipway-journal-'));
  file = join(dir, 'journal.jsonl');
});
afterEach(() => rm(dir, { recursive: true }));

describe('the journal', () => {
  it('knows the newest word on each step', async () => {
    const journal = await Journal.open(file, 'run-1');
    await journal.write({ step: 'init@10.0.0.2', event: 'started', inputs: 'sha256:1' });
    await Promise.all([
      journal.write({ step: 'init@10.0.0.2', event: 'done', inputs: 'sha256:1' }),
      journal.write({ step: 'join@10.0.0.3', event: 'failed', inputs: 'sha256:2', message: 'no route' }),
    ]);
    await journal.close();
    const last = lastEvents(await readJournal(file));
    expect(last.get('init@10.0.0.2')).toMatchObject({ event: 'done', run: 'run-1' });
    expect(last.get('join@10.0.0.3')).toMatchObject({ event: 'failed', message: 'no route' });
  });

  it('that was cut off anywhere loses only its last entry, and takes more', async () => {
    const journal = await Journal.open(file, 'run-1');
    await journal.write({ step: 'a', event: 'done', inputs: 'sha256:1' });
    await journal.write({ step: 'b', event: 'done', inputs: 'sha256:1' });
    await journal.close();
    const whole = await readFile(file);
    const firstEnd = whole.indexOf('\n') + 1;
    for (const length of [firstEnd + 1, firstEnd + 30, whole.length - 2]) {
      await rm(file);
      await appendFile(file, whole);
      await truncate(file, length);
      expect((await readJournal(file)).map(({ step }) => step)).toEqual(['a']);
      const more = await Journal.open(file, 'run-2');
      await more.write({ step: 'c', event: 'started', inputs: 'sha256:1' });
      await more.close();
      expect((await readJournal(file)).map(({ step }) => step)).toEqual(['a', 'c']);
    }
  });

  it('is empty when there is none, and passes over nonsense', async () => {
    expect(await readJournal(file)).toEqual([]);
    await appendFile(file, '{"step":1}\nnot json\n\0\0\0\n');
    expect(await readJournal(file)).toEqual([]);
  });

  it('is only its owner’s to read, and holds no secrets', async () => {
    registerSecret('hunter2hunter2');
    const journal = await Journal.open(file, 'run-1');
    await journal.write({ step: 'a', event: 'failed', inputs: 'x', message: 'login with "hunter2hunter2" failed' });
    await journal.close();
    expect(await readFile(file, 'utf8')).not.toContain('hunter2');
    expect(await readJournal(file)).toHaveLength(1);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });
});
