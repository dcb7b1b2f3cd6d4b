import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/base/errors.js';
import type { CommandResult, Host, RunOptions } from '../../../src/hosts/host.js';
import { Looks } from '../../../src/hosts/looks.js';
import { until } from '../../support/until.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'slipway-looks-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** Scripts that ran, by their titles. */
let titles: string[];
beforeEach(() => {
  titles = [];
});
/** This machine's sh, as a host. */
const host: Pick<Host, 'address' | 'run'> = {
  address: '10.0.0.2',
  run: (script: string, { title = '', stdout }: RunOptions = {}): Promise<CommandResult> => {
    titles.push(title);
    const child = spawn('sh', ['-s'], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(script);
    if (stdout !== undefined) child.stdout.pipe(stdout);
    return new Promise((resolve) => child.on('close', (code) => resolve({ code: code ?? 1, stdout: '', stderr: '' })));
  },
};

describe('looking at files of a host', () => {
  it('goes there once for all that is asked at a time', async () => {
    const looks = new Looks(host);
    const path = join(dir, "it's $HOME");
    const bytes = Buffer.from([0, 10, 255, 13, 10, 10]);
    writeFileSync(path, bytes);
    writeFileSync(join(dir, 'empty'), '');
    symlinkSync('nowhere', join(dir, 'dangling'));
    const answers = await Promise.all([
      looks.read(path),
      looks.exists(path),
      looks.read(join(dir, 'empty')),
      looks.exists(join(dir, 'dangling')),
      looks.read(join(dir, 'dangling')),
      looks.exists(join(dir, 'absent')),
      looks.read(join(dir, 'absent')),
      looks.exists(dir),
    ]);
    expect(answers).toEqual([bytes, true, Buffer.alloc(0), true, undefined, false, undefined, true]);
    expect(titles).toEqual([`look at ${path} and 7 more`]);
  });

  it('goes there once more for all that was asked meanwhile, and sees what is there by then', async () => {
    const path = join(dir, 'meanwhile');
    let gone = 0;
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const looks = new Looks({
      address: host.address,
      run: async (script, options) => {
        const result = await host.run(script, options);
        gone++;
        if (gone === 1) await held;
        return result;
      },
    });
    const first = looks.read(path);
    await until(() => gone === 1);
    writeFileSync(path, 'now');
    const second = looks.read(path);
    await new Promise(setImmediate);
    const third = looks.exists(path);
    goOn();
    expect(await first).toBeUndefined();
    expect((await second)?.toString()).toBe('now');
    expect(await third).toBe(true);
    expect(gone).toBe(2);
    expect(await looks.exists(path)).toBe(true);
    expect(gone).toBe(3);
  });

  it('starts as many programs for many files as for one', async () => {
    const paths = Array.from({ length: 40 }, (_, index) => join(dir, `many ${index}\n'"$(id)`));
    for (const [index, path] of paths.entries()) writeFileSync(path, Buffer.alloc(index * 100, index));
    const looks = new Looks(host);
    const found = await Promise.all(paths.map((path) => looks.read(path)));
    for (const [index, content] of found.entries())
      expect(content?.equals(Buffer.alloc(index * 100, index))).toBe(true);
    expect(titles).toHaveLength(1);
  });

  it('reads alone what is not as large as it says, and the others with it', async () => {
    const path = join(dir, 'beside');
    writeFileSync(path, 'beside');
    const looks = new Looks(host);
    const [version, beside] = await Promise.all([looks.read('/proc/sys/kernel/ostype'), looks.read(path)]);
    expect(version?.toString()).toBe('Linux\n');
    expect(beside?.toString()).toBe('beside');
    expect(titles.slice(1)).toEqual(['read /proc/sys/kernel/ostype', `read ${path}`]);
  });

  it('asks what is asked after a trouble', async () => {
    let broken = true;
    const looks = new Looks({
      address: host.address,
      run: (script, options) => {
        if (!broken) return host.run(script, options);
        broken = false;
        return Promise.reject(new Error('gone'));
      },
    });
    const first = looks.exists(dir);
    await expect(first).rejects.toThrow('gone');
    expect(await looks.exists(dir)).toBe(true);
  });

  it('brings a large file alone, and says of a directory that it is one', async () => {
    const looks = new Looks(host);
    const small = Buffer.alloc(65536, 'done\n');
    const large = Buffer.alloc(65537, 'done\n');
    writeFileSync(join(dir, 'small'), small);
    writeFileSync(join(dir, 'large'), large);
    const [a, b] = await Promise.all([looks.read(join(dir, 'small')), looks.read(join(dir, 'large'))]);
    expect(a?.equals(small)).toBe(true);
    expect(b?.equals(large)).toBe(true);
    expect(titles).toEqual([`look at ${join(dir, 'small')} and 1 more`, `read ${join(dir, 'large')}`]);
    await expect(looks.read(dir)).rejects.toMatchObject({ code: 'E_HOST_COMMAND' });
    await expect(looks.exists('relative')).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  it('believes no host that leaves answers out, and keeps no more than was asked for', async () => {
    const saying = (text: string): Looks =>
      new Looks({
        address: '10.0.0.2',
        run: (_script, { stdout }: RunOptions = {}) =>
          new Promise((resolve, reject) => {
            stdout?.on('error', reject);
            stdout?.on('finish', () => resolve({ code: 0, stdout: '', stderr: '' }));
            stdout?.end(text);
          }),
      });
    const mute = saying('yes\n');
    const asked = await Promise.allSettled([mute.exists('/a'), mute.exists('/b')]);
    for (const one of asked)
      expect(one).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'E_HOST_COMMAND',
          message: expect.stringContaining('asked about 2 files it does not answer for each'),
        },
      });
    await expect(saying('').exists('/a')).rejects.toMatchObject({ code: 'E_HOST_COMMAND' });
    await expect(saying('x'.repeat(100_000)).exists('/a')).rejects.toThrow('more than the');
    expect(await saying('no\n').exists('/a')).toBe(false);
    // sizes that are none, or not those of what comes
    for (const text of [
      'file\n',
      'file\nx\ndone\n',
      'file\n-1 1 1 1\ndone\n',
      'file\n3 1 1 1\nabdone\n',
      'yes\ndone\n',
    ])
      await expect(saying(text).read('/a'), text).rejects.toBeInstanceOf(SlipwayError);
  });

  it('fails for everyone who asked when the host does not answer', async () => {
    const looks = new Looks({ address: '10.0.0.2', run: () => Promise.reject(new Error('gone')) });
    const asked = await Promise.allSettled([looks.exists('/a'), looks.read('/b')]);
    expect(asked.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});
