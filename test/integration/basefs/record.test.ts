import { execFile } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const SCRIPTS = join(import.meta.dirname, '../../../basefs/kubernetes/rootfs/scripts');

let place: string;
let host: string;

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'slipway-record-'));
  host = join(place, 'host');
  await mkdir(host);
  await writeFile(join(place, 'new'), 'new\n');
});

afterEach(async () => {
  await rm(place, { recursive: true });
});

describe('the record of what was put on a host', () => {
  it('takes away what was put, and the directories made for it', async () => {
    await script('put "$PLACE/new" "$HOST/a/b/program" 755; claim_tree "$HOST/data"');
    expect(await readFile(join(host, 'a/b/program'), 'utf8')).toBe('new\n');
    await mkdir(join(host, 'data/deep'), { recursive: true });
    await undo();
    expect(await readdir(host)).toEqual([]);
    expect(await readdir(place)).not.toContain('state');
  });

  it("keeps the host's own file and brings it back with its mode", async () => {
    const program = join(host, 'program');
    await writeFile(program, 'own\n');
    await chmod(program, 0o711);
    const { stdout } = await script('put "$PLACE/new" "$HOST/program" 755');
    expect(stdout).toContain(`${program}: the host's own file is replaced`);
    expect(await readFile(program, 'utf8')).toBe('new\n');
    await undo();
    expect(await readFile(program, 'utf8')).toBe('own\n');
    expect((await lstat(program)).mode & 0o777).toBe(0o711);
  });

  it("brings back a link of the host's own", async () => {
    await symlink('/nowhere', join(host, 'program'));
    await script('put "$PLACE/new" "$HOST/program" 755');
    await undo();
    expect((await lstat(join(host, 'program'))).isSymbolicLink()).toBe(true);
  });

  it('leaves a file alone that is there already with the same content, now and when undoing', async () => {
    await writeFile(join(host, 'program'), 'new\n');
    const { stdout } = await script('put "$PLACE/new" "$HOST/program" 755; echo "changed: ${#CHANGED[@]}"');
    expect(stdout).toContain('changed: 0');
    await undo();
    expect(await readFile(join(host, 'program'), 'utf8')).toBe('new\n');
  });

  it('changes nothing the second time', async () => {
    await script('put "$PLACE/new" "$HOST/program" 755');
    const before = await readFile(join(place, 'state/kubernetes'), 'utf8');
    const { stdout } = await script('put "$PLACE/new" "$HOST/program" 755; echo "changed: ${#CHANGED[@]}"');
    expect(stdout).toContain('changed: 0');
    expect(await readFile(join(place, 'state/kubernetes'), 'utf8')).toBe(before);
  });

  it('replaces its own older file without keeping it', async () => {
    await writeFile(join(host, 'program'), 'own\n');
    await script('put "$PLACE/new" "$HOST/program" 755');
    await writeFile(join(place, 'new'), 'newer\n');
    const { stderr } = await script('put "$PLACE/new" "$HOST/program" 755');
    expect(stderr).toBe('');
    await undo();
    expect(await readFile(join(host, 'program'), 'utf8')).toBe('own\n');
  });

  it('keeps a copy of a file that somebody changed before it replaces it', async () => {
    await script('put "$PLACE/new" "$HOST/conf" 644');
    await writeFile(join(host, 'conf'), 'edited\n');
    const { stderr } = await script('put "$PLACE/new" "$HOST/conf" 644');
    expect(stderr).toContain('conf: was changed since it was installed');
    const [copy = ''] = (await readdir(join(place, 'state/edited'), { recursive: true })).filter((name) =>
      name.includes('conf.'),
    );
    expect(await readFile(join(place, 'state/edited', copy), 'utf8')).toBe('edited\n');
  });

  it('does not take away what somebody changed since', async () => {
    await script('put "$PLACE/new" "$HOST/conf" 644');
    await writeFile(join(host, 'conf'), 'edited\n');
    const { stderr } = await undo();
    expect(stderr).toContain('conf: was changed since it was installed; it stays');
    expect(await readFile(join(host, 'conf'), 'utf8')).toBe('edited\n');
  });

  it('does not claim a directory that has something in it', async () => {
    await mkdir(join(host, 'data'));
    await writeFile(join(host, 'data/precious'), 'x');
    await script('claim_tree "$HOST/data"');
    await undo();
    expect(await readdir(join(host, 'data'))).toEqual(['precious']);
  });

  it.each([
    ['recorded, not yet kept', 'record file "$(sha256_of "$PLACE/new")" "$HOST/program"'],
    [
      'kept, not yet replaced',
      'mkdir -p "$STATE/backup$HOST"; cp -a "$HOST/program" "$STATE/backup$HOST/"; record backup "$HOST/program"; record file "$(sha256_of "$PLACE/new")" "$HOST/program"; echo half >"$HOST/program.slipway-new"',
    ],
  ])('leaves the host as it was when it was killed half-way: %s', async (_, half) => {
    await writeFile(join(host, 'program'), 'own\n');
    await script(half);
    await undo();
    expect(await readdir(host)).toEqual(['program']);
    expect(await readFile(join(host, 'program'), 'utf8')).toBe('own\n');
  });

  it('fails with the step and the command when something unexpected happens', async () => {
    const failed = await script('step "installing programs"; put "$PLACE/missing" "$HOST/program" 755').then(
      () => undefined,
      (error: { code: number; stderr: string }) => error,
    );
    expect(failed?.code).toBe(1);
    expect(failed?.stderr).toContain('installing programs: "cp ');
  });

  it('refuses a template that has no value for a name', async () => {
    await writeFile(join(place, 'template'), 'root = "@STORAGE@"\nname = "@NAME@"\n');
    const failed = await script('text=$(fill "$PLACE/template" STORAGE=/x)').then(
      () => undefined,
      (error: { code: number; stderr: string }) => error,
    );
    expect(failed?.code).toBe(1);
    expect(failed?.stderr).toContain('@NAME@');
  });

  it('comments swap out of fstab and brings it back', async () => {
    const fstab = join(place, 'fstab');
    const before = 'UUID=1 / ext4 x 0 1\n# UUID=2 none swap sw 0 0\nUUID=3\tnone\tswap\tsw\t0 0\n';
    await writeFile(fstab, before);
    await script('. lib/kernel.sh; swapoff() { :; }; turn_swap_off; turn_swap_off', { SLIPWAY_FSTAB: fstab });
    expect(await readFile(fstab, 'utf8')).toBe(before.replace('UUID=3', '#slipway-swap# UUID=3'));
    await script('. lib/kernel.sh; . lib/undo.sh; swapon() { :; }; restore_kernel', { SLIPWAY_FSTAB: fstab });
    expect(await readFile(fstab, 'utf8')).toBe(before);
  });
});

it.each(['basefs', 'test/lab', 'examples', 'scripts'])('every script in %s is clean under shellcheck', async (room) => {
  const root = join(import.meta.dirname, '../../..', room);
  const scripts = (await readdir(root, { recursive: true }))
    .filter((name) => name.endsWith('.sh') && !/(^|\/)(amd64|arm64|\.cache)\//.test(name))
    .map((name) => join(root, name));
  expect(scripts.length).toBeGreaterThan(2);
  await run('shellcheck', ['--external-sources', '--source-path=SCRIPTDIR', ...scripts]);
});

/** Runs a piece of bash with the libraries loaded, `$PLACE` and `$HOST` set, and the record in `$PLACE/state`. */
function script(text: string, env: Readonly<Record<string, string>> = {}): Promise<{ stdout: string; stderr: string }> {
  return run('bash', ['--norc', '-c', `set -Eeuo pipefail; . lib/messages.sh; . lib/record.sh; ${text}`, 'test.sh'], {
    cwd: SCRIPTS,
    env: { PATH: process.env.PATH, PLACE: place, HOST: host, SLIPWAY_HOST_STATE: join(place, 'state'), ...env },
  });
}

function undo(): Promise<{ stdout: string; stderr: string }> {
  return script('. lib/leftovers.sh; . lib/undo.sh; remove_trees; remove_files; remove_dirs; forget');
}
