import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { LintRequest } from '../../../src/build/lint/lint-kubefile.js';
import { tempDirectory } from '../../support/temp.js';
import { findingsOf, lint } from './kit.js';

const home = tempDirectory();
let count = 0;

/** A build context of these files. */
function context(...files: readonly string[]): string {
  const dir = join(home, String(count++));
  mkdirSync(dir);
  for (const file of files) {
    const [path = '', content = 'x'] = file.split('=', 2);
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  return dir;
}

const ROOTFS = ['rootfs/bin/a', 'rootfs/etc/a', 'rootfs/scripts/init.sh', 'rootfs/Metadata={"version":"v1.20.2"}'];

/** What is found, without what depends on the contract of the rootfs. */
async function found(text: string, dir: string, request: Partial<LintRequest> = {}): Promise<string[]> {
  return findingsOf(text, { context: dir, type: 'app-installer', ...request });
}

test.each<[what: string, files: readonly string[], text: string, ...expected: string[]]>([
  ['all is there', ['a', 'd/b'], 'FROM scratch\nCOPY a .\nCOPY d/* ./x/'],
  ['missing', ['a'], 'FROM scratch\nCOPY b .', '2:6 copy-source-missing'],
  ['two of three missing', ['a'], 'FROM scratch\nCOPY b a c x/', '2:6 copy-source-missing', '2:10 copy-source-missing'],
  ['hidden', ['a', '.dockerignore=a'], 'FROM scratch\nCOPY a .', '2:6 copy-source-hidden'],
  ['no match', ['a'], 'FROM scratch\nCOPY *.yaml .', '2:6 copy-matches-nothing'],
  ['a match of two', ['a'], 'FROM scratch\nCOPY *.yaml a* x/', '2:6 copy-matches-nothing'],
  ['outside', [], 'FROM scratch\nCOPY ../x .', '2:6 copy-impossible'],
  ['to a directory that is a file', ['a', 'b'], 'FROM scratch\nCOPY a /x\nCOPY b /x/y', '3:8 copy-impossible'],
  ['several to a file', ['a', 'b'], 'FROM scratch\nCOPY a b /x', '2:10 copy-impossible'],
  ['several to what an image may have', ['a', 'b'], 'FROM k8s:v1\nCOPY a b /x'],
  ['behind a RUN', ['a', 'b'], 'FROM scratch\nCOPY a /x\nRUN rm x\nCOPY b /x/y'],
  ['of the platform', ['a'], 'FROM scratch\nCOPY ${ARCH} .', '2:6 copy-source-not-fetched (info)'],
  ['not known', ['a'], 'FROM scratch\nARG A\nCOPY ${A} .', '3:6 unset-variable (info)'],
  ['overwritten', ['a', 'd/a'], 'FROM scratch\nCOPY a .\nCOPY d .', '3:1 copy-overwrites'],
  [
    'overwritten in another stage',
    ['a', 'd/a'],
    'FROM scratch AS s\nCOPY a .\nFROM s\nCOPY d .',
    '4:1 copy-overwrites',
  ],
  ['directories only', ['d/a', 'e/b'], 'FROM scratch\nCOPY d x\nCOPY e x'],
  ['excluded', ['a', 'd/a', 'd/b'], 'FROM scratch\nCOPY a .\nCOPY --exclude=a d .'],
  ['a heredoc', ['d/a'], 'FROM scratch\nCOPY <<a .\nx\na\nCOPY d .', '5:1 copy-overwrites'],
  ['from a stage', ['a'], 'FROM scratch AS s\nCOPY a /x/\nFROM scratch\nCOPY --from=s /x/* /y/\nCMD sh y/a'],
  [
    'not in the stage',
    ['a'],
    'FROM scratch AS s\nCOPY a /x/\nFROM scratch\nCOPY --from=s /x/b /y/',
    '4:15 copy-source-missing',
  ],
  ['a stage that ran something', ['a'], 'FROM scratch AS s\nRUN ls\nFROM scratch\nCOPY --from=s /x/b /y/'],
  ['from an image', ['a'], 'FROM scratch\nCOPY --from=k8s:v1 /x/b /y/'],
  [
    'applications',
    ['app/a'],
    'FROM scratch\nAPP a local://app\nAPP b local://nothing oci://x',
    '3:7 copy-source-missing',
  ],
  ['launch files', ['m/a.yaml'], 'FROM scratch\nCOPY m manifests\nCMD kubectl apply -f manifests/a.yaml'],
  [
    'no launch file',
    ['m/a.yaml'],
    'FROM scratch\nCOPY m manifests\nCMD kubectl apply -f manifests/b.yaml',
    '3:1 missing-launch-file',
  ],
  ['a launch file of a RUN', [], 'FROM scratch\nRUN wget x\nCMD kubectl apply -f b.yaml'],
  [
    'ADD',
    ['a', 'x.tar.gz'],
    'FROM scratch\nADD a x.tar.gz https://x/y /z/\nADD b.tar.gz /',
    '2:1 add-without-checksum',
    '3:5 copy-source-missing',
  ],
])('%s', async (_, files, text, ...expected) => {
  expect(await found(text, context(...files))).toEqual(expected);
});

test('the nearest name is suggested', async () => {
  const dir = context('rootfs/etc/config.yaml', 'manifests/app.yaml');
  const text = 'FROM scratch\nCOPY rotfs .\nCOPY manifests manifests\nCMD kubectl apply -f manifests/ap.yaml';
  const { findings } = await lint(text, { context: dir, type: 'app-installer' });
  expect(findings.map(({ help }) => help)).toContain('did you mean rootfs?');
  const whole = await lint('FROM scratch\nCOPY manifests manifests\nCMD sh manifests/ap.yaml', { context: dir });
  expect(whole.findings.map(({ help }) => help)).toContain('did you mean manifests/app.yaml?');
});

test('what a kube-installer lacks', async () => {
  const dir = context(...ROOTFS);
  expect(await findingsOf('FROM scratch\nCOPY rootfs/* .', { context: dir })).toEqual([]);
  const { findings } = await lint('FROM scratch\nCOPY rootfs/bin bin', { context: dir });
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ rule: 'missing-contract-directory', line: 1 });
  expect(findings[0]?.message).toMatch(/etc .*scripts .*Metadata/);
  expect(await findingsOf('# dialect=docker\nFROM scratch\nCOPY rootfs/bin bin', { context: dir })).toEqual([]);
  expect(await findingsOf('FROM k8s:v1\nCOPY rootfs/bin bin', { context: dir })).toEqual([]);
});

test('Metadata that the build would refuse', async () => {
  const text = 'FROM scratch\nCOPY rootfs/* .';
  const broken = context(...ROOTFS.slice(0, 3), 'rootfs/Metadata={');
  expect(await findingsOf(text, { context: broken })).toEqual(['2:1 invalid-metadata']);
  const other = context(...ROOTFS.slice(0, 3), 'rootfs/Metadata={"arch":"arm64"}');
  expect(await findingsOf(text, { context: other })).toEqual(['2:1 invalid-metadata']);
});

test('links in circles, sockets and a wrong ignore file are findings', async () => {
  const dir = context('a');
  symlinkSync('round', join(dir, 'round'));
  expect(await found('FROM scratch\nCOPY round .', dir)).toEqual(['2:6 copy-impossible']);
  expect(await found('FROM scratch\nCOPY . .', dir)).toEqual([]);
  expect(await found('FROM scratch\nCOPY . .\nCOPY a round/x', dir)).toEqual(['3:8 copy-impossible']);
  expect(await found('FROM scratch\nCOPY a .', context('a', '.dockerignore=['))).toEqual(['1:1 copy-impossible']);
  await expect(found('FROM scratch', join(home, 'nothing'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
});

test('a suppression that suppresses nothing is told when all rules have run', async () => {
  const text = 'FROM scratch\n# slipway lint ignore=copy-overwrites\nCOPY a .';
  expect(await found(text, context('a'))).toEqual(['2:1 unused-suppression (info)']);
  expect(await findingsOf(text)).toEqual([]);
});
