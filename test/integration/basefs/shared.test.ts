import { execFile } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { tempDirectory } from '../../support/temp.js';

const run = promisify(execFile);
const PROJECT = join(import.meta.dirname, '../../..');

it('scripts/basefs-shared.sh names what is not the same in another folder, and makes it the same', async () => {
  const home = tempDirectory('slipway-shared-');
  cpSync(join(PROJECT, 'basefs'), join(home, 'basefs'), {
    recursive: true,
    filter: (from) => !/\/(?:amd64|arm64|\.cache)(?:\/|$)/.test(from),
  });
  cpSync(join(PROJECT, 'scripts'), join(home, 'scripts'), { recursive: true });
  const script = (...args: string[]) => run('bash', [join(home, 'scripts/basefs-shared.sh'), ...args]);
  expect(await script()).toEqual({ stdout: '', stderr: '' });

  appendFileSync(join(home, 'basefs/k3s/rootfs/scripts/lib/undo.sh'), '# changed here only\n');
  chmodSync(join(home, 'basefs/k0s/rootfs/scripts/init-registry.sh'), 0o644);
  const wrong = await script().catch((error: { code: number; stderr: string }) => error);
  expect(wrong).toMatchObject({ code: 1 });
  expect(wrong.stderr).toBe(
    [
      'basefs/k0s/rootfs/scripts/init-registry.sh is not as basefs/kubernetes/rootfs/scripts/init-registry.sh',
      'basefs/k3s/rootfs/scripts/lib/undo.sh is not as basefs/kubernetes/rootfs/scripts/lib/undo.sh',
      'change basefs/kubernetes, then run scripts/basefs-shared.sh --write\n',
    ].join('\n'),
  );
  await script('--write');
  expect(await script()).toEqual({ stdout: '', stderr: '' });
  expect(readFileSync(join(home, 'basefs/k3s/rootfs/scripts/lib/undo.sh'), 'utf8')).not.toContain('changed here only');
  expect(statSync(join(home, 'basefs/k0s/rootfs/scripts/init-registry.sh')).mode & 0o111).toBe(0o111);
});
