import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const root = join(home, 'store');
let count = 0;

afterAll(() => mustSlipway(['umount', '--all'], { root }));

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  return writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
}

describe('stages', () => {
  it('that the target does not need are not run', async () => {
    const dir = context('FROM scratch AS broken\nRUN exit 3\nFROM scratch AS fine\nCOPY a a\nFROM broken\n', {
      a: '1',
    });
    const { code, stderr } = await slipway(['build', '-t', 'fine', '--target', 'fine', dir], { root });
    expect(code).toBe(0);
    expect(stderr).not.toContain('exit 3');
    expect((await slipway(['build', dir], { root })).code).toBe(1);
  });

  it('are ended when another one fails', async () => {
    const dir = context(
      'FROM scratch AS slow\nRUN sleep 600\nFROM scratch AS broken\nRUN echo why >&2; exit 3\nFROM slow\nCOPY --from=broken x .\n',
    );
    const { code, stderr } = await slipway(['build', dir], { root });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Kubefile:4:1: the command ended with exit code 3[\s\S]*\| why/);
    expect(stderr).not.toMatch(/bug|E_INTERNAL|interrupted/i);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });

  it('an ARG of before the first FROM is missed in a stage: the warning says where it counts', async () => {
    const { stderr } = await slipway(['build', '-q', context('ARG V=1\nFROM scratch\nLABEL v=$V w=$W\n')], { root });
    expect(stderr).toMatch(/\$V is not set; it becomes empty \(.*write ARG V in the stage too\)/);
    expect(stderr).toMatch(/\$W is not set; it becomes empty$/m);
  });

  it('are told apart in the output', async () => {
    const dir = context('FROM scratch AS one\nCOPY a a\nFROM one\nCOPY b b\n', { a: '1', b: '2' });
    const { stderr } = await slipway(['build', dir], { root });
    expect(stderr).toContain('[one 1/1] COPY a a');
    expect(stderr).toContain('[stage-1 1/1] COPY b b');
  });
});

describe('the Kubefile', () => {
  it('comes from standard input with -f -', async () => {
    const dir = context('FROM scratch\nCOPY b b\n', { a: '1' });
    const { code, stderr } = await slipway(['build', '-f', '-', dir], { root, stdin: 'FROM scratch\nCOPY a a\n' });
    expect(stderr).toContain('COPY a a');
    expect(code).toBe(0);
    const wrong = await slipway(['build', '-f', '-', dir], { root, stdin: 'FROM scratch\nCOPI a a\n' });
    expect(wrong.stderr).toContain('(stdin):2:1: ');
    expect(wrong.code).toBe(2);
  });

  it('is not a Dockerfile unless somebody says so', async () => {
    const dir = writeTree(join(home, 'contexts', 'docker'), { Dockerfile: 'FROM scratch\nCOPY a a\n', a: '1' });
    const { code, stderr } = await slipway(['build', dir], { root });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Kubefile: no such file[\s\S]*-f \S*Dockerfile/);
  });
});

describe('an ordinary container image', () => {
  it('is inspected with what a container of it would run', async () => {
    const dir = context(
      '# dialect=docker\nFROM scratch\nENTRYPOINT ["/x"]\nCMD ["a b"]\nUSER 1000\nEXPOSE 80\nVOLUME /data\n',
    );
    await mustSlipway(['build', '-t', 'ordinary:v1', dir], { root });
    const { process: run } = JSON.parse(await mustSlipway(['inspect', 'ordinary:v1', '--json'], { root })) as {
      process: unknown;
    };
    expect(run).toEqual({
      entrypoint: ['/x'],
      cmd: ['a b'],
      user: '1000',
      workingDir: '/',
      exposedPorts: ['80/tcp'],
      volumes: ['/data'],
    });
    expect(await mustSlipway(['inspect', 'ordinary:v1'], { root })).toMatch(/Entrypoint: +\["\/x"\]/);
  });
});

describe('a context', () => {
  it.each(['-', 'https://example.com/x.git', 'git@example.com:x'])('is a directory: not %s', async (text) => {
    const { code, stderr } = await slipway(['build', text], { root });
    expect(code).toBe(2);
    expect(stderr).toMatch(/a context is a directory/);
  });
});

describe('ONBUILD', () => {
  it('of a base image is warned about, because it is not run', async () => {
    const base = context('# dialect=docker\nFROM scratch\nCOPY a a\nONBUILD RUN touch /x\n', { a: '1' });
    await mustSlipway(['build', '-t', 'triggers:v1', base], { root });
    const { stderr, code } = await slipway(['build', context('FROM triggers:v1\n')], { root });
    expect(stderr).toMatch(/warning: triggers:v1 has ONBUILD instructions, which are not run: RUN touch \/x/);
    expect(code).toBe(0);
  });
});

describe('several platforms', () => {
  const files = { 'amd64/bin/tool': 'for amd64', 'arm64/bin/tool': 'for arm64', 'etc/same': 'x' };

  it('make an index that skopeo and we read, each image with its own files', async () => {
    const dir = context(
      'FROM scratch\nCOPY etc etc/\nCOPY ${ARCH} .\nRUN echo $TARGETPLATFORM > etc/platform\n',
      files,
    );
    const args = ['build', '-t', 'both:v1', '--platform', 'linux/amd64,linux/arm64', '--platform', 'amd64', '-q', dir];
    const digest = (await mustSlipway(args, { root })).trim();
    for (const arch of ['amd64', 'arm64']) {
      const mount = await mustSlipway(['mount', '--platform', `linux/${arch}`, 'both:v1'], { root });
      expect(readFileSync(join(mount.trim(), 'bin/tool'), 'utf8')).toBe(`for ${arch}`);
      expect(readFileSync(join(mount.trim(), 'etc/platform'), 'utf8')).toBe(`linux/${arch}\n`);
      await mustSlipway(['umount', mount.trim()], { root });
    }
    expect(await mustSlipway(['inspect', 'both:v1'], { root })).toMatch(
      /Platform: +linux\/amd64 \(also there: linux\/arm64/,
    );
    const archive = join(home, 'both.tar');
    await mustSlipway(['save', '-o', archive, 'both:v1'], { root });
    const raw = JSON.parse(await must('skopeo', ['inspect', '--raw', `oci-archive:${archive}`])) as {
      manifests: { platform: { architecture: string; os: string } }[];
    };
    expect(raw.manifests.map(({ platform }) => platform)).toEqual([
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm64' },
    ]);
    expect((await mustSlipway([...args, '--iidfile', join(home, 'iid')], { root })).trim()).toBe(digest);
    expect(readFileSync(join(home, 'iid'), 'utf8')).toBe(digest);
  });

  it('of a base image that the store has for another one: the error says so, whatever a registry says', async () => {
    await mustSlipway(['build', '-q', '--platform', 'amd64', '-t', 'localhost:1/one:v1', context('FROM scratch\n')], {
      root,
    });
    const args = ['build', '--platform', 'arm64', context('FROM localhost:1/one:v1\n')];
    const { code, stderr } = await slipway(args, { root });
    expect(code).toBe(1);
    expect(stderr).toContain('the store has localhost:1/one:v1, but not for linux/arm64');
  });

  it('with a part missing for one of them name the platform, and give no name', async () => {
    const dir = context('FROM scratch\nCOPY ${ARCH} .\n', { 'amd64/x': '1' });
    const { code, stderr } = await slipway(['build', '-t', 'half:v1', '--platform', 'amd64,arm64', dir], { root });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Kubefile:2:6: arm64 is not in the build context/);
    expect((await slipway(['inspect', 'half:v1'], { root })).code).toBe(1);
  });
});
