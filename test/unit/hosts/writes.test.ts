import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/base/errors.js';
import type { CommandResult, Host, RunOptions } from '../../../src/hosts/host.js';
import { Writes, writesScript } from '../../../src/hosts/writes.js';

/** A host on which scripts end with the codes, one after the other; keeps what was asked of it. */
function hostThat(
  ...codes: readonly number[]
): Pick<Host, 'address' | 'run'> & { readonly titles: string[]; readonly inputs: string[] } {
  const titles: string[] = [];
  const inputs: string[] = [];
  const run = async (_: string, { title = '', stdin }: RunOptions = {}): Promise<CommandResult> => {
    titles.push(title);
    inputs.push(String(stdin));
    return { code: codes[titles.length - 1] ?? 0, stdout: '', stderr: 'the disk is full' };
  };
  return { address: '10.0.0.2', titles, inputs, run };
}

const writeAll = (writes: Writes, ...names: readonly string[]) =>
  Promise.allSettled(names.map((name) => writes.write(`/etc/${name}`, `content of ${name}\n`)));

describe('writing files of a host', () => {
  it('goes there once for all that are written at a time', async () => {
    const host = hostThat(0);
    expect((await writeAll(new Writes(host), 'a', 'b', 'c')).map(({ status }) => status)).not.toContain('rejected');
    expect(host.titles).toEqual(['write /etc/a and 2 more']);
    expect(host.inputs).toEqual(['content of a\ncontent of b\ncontent of c\n']);
  });

  it('writes each alone when they cannot be written together, and tells what is wrong with which', async () => {
    const host = hostThat(1, 0, 1, 0);
    const ended = await writeAll(new Writes(host), 'a', 'b', 'c');
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(ended[1]).toMatchObject({
      reason: { message: expect.stringContaining('writing /etc/b failed: the disk is full') },
    });
    expect(host.titles).toEqual(['write /etc/a and 2 more', 'write /etc/a', 'write /etc/b', 'write /etc/c']);
  });

  it('asks a host that is gone once, not once for each file', async () => {
    let asked = 0;
    const run = async (): Promise<CommandResult> => {
      asked++;
      throw new SlipwayError('E_HOST_UNREACHABLE', 'host 10.0.0.2: it is gone');
    };
    const ended = await writeAll(new Writes({ address: '10.0.0.2', run }), 'a', 'b', 'c');
    expect(ended).toMatchObject(Array(3).fill({ status: 'rejected', reason: { code: 'E_HOST_UNREACHABLE' } }));
    expect(asked).toBe(1);
  });

  it('gives no file its name when one did not arrive whole, and leaves nothing else', () => {
    const directory = mkdtempSync(join(tmpdir(), 'slipway-writes-'));
    try {
      const files = ['a', 'b'].map((name) => ({
        path: join(directory, name),
        bytes: Buffer.from('whole'),
        mode: 0o644,
      }));
      const { status } = spawnSync('sh', ['-c', writesScript(files)], { input: 'wholewho' });
      expect(status).toBe(1);
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('writes large ones, and those with odd names, alone', async () => {
    const host = hostThat();
    const writes = new Writes(host);
    await Promise.all([
      writes.write('/etc/a', 'a'),
      writes.write('/etc/large', Buffer.alloc(1024 * 1024 + 1)),
      writes.write('/etc/two\nlines', 'b'),
    ]);
    expect(host.titles.sort()).toEqual(['write /etc/a', 'write /etc/large', 'write /etc/two\nlines']);
  });
});
