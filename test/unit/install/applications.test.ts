import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { checkApplicationNames } from '../../../src/image/applications.js';
import { digestOf } from '../../../src/image/digest.js';
import { applicationVariables } from '../../../src/install/cluster-hosts/host-env.js';
import { applicationFindings, launchCommands } from '../../../src/install/files/applications.js';

const web = { name: 'web', type: 'kube', files: ['a.yaml'] };
const chart = { name: 'chart', type: 'helm', files: ['chart'] };
const tool = { name: 'tool', cmds: ['one', 'two'] };
const image = {
  name: 'k8s:v1',
  launchCmds: ['bash scripts/cni.sh'],
  launchApps: ['web', 'tool'],
  applications: [web, chart, tool],
};
const launched = (spec: { cmds?: string[]; apps?: string[] }): string[] =>
  launchCommands(spec, image).map(({ command, application }) => `${application ?? '-'}: ${command}`);

describe('what is launched', () => {
  it('is what the image says: commands, then applications', () => {
    expect(launched({})).toEqual(['-: bash scripts/cni.sh', 'web: kubectl apply -f a.yaml', 'tool: one', 'tool: two']);
  });

  it('is what is given instead', () => {
    expect(launched({ cmds: ['x'] })).toEqual(['-: x']);
    expect(launched({ apps: ['chart'] })).toEqual(['-: bash scripts/cni.sh', 'chart: helm upgrade --install chart .']);
    expect(launched({ cmds: ['x'], apps: ['tool'] })).toEqual(['-: x', 'tool: one', 'tool: two']);
  });

  it.each([
    [() => launchCommands({ apps: ['wbe'] }, image), 'E_USAGE', /no application "wbe"/, 'did you mean web?'],
    [
      () => launchCommands({ apps: ['x'] }, { ...image, applications: [] }),
      'E_USAGE',
      /no application "x"/,
      'it has none',
    ],
    [
      () => launchCommands({}, { ...image, applications: [] }),
      'E_INVALID_MANIFEST',
      /launches the application "web"/,
      /inspect/,
    ],
    [
      () => launchCommands({}, { ...image, applications: [{ name: 'web' }], launchApps: ['web'] }),
      'E_INVALID_MANIFEST',
      /does not say how its application web is started/,
      /APPCMDS web/,
    ],
    [
      () => checkApplicationNames([{ name: '../../etc' }], 'k8s:v1'),
      'E_INVALID_MANIFEST',
      /"\.\.\/\.\.\/etc"/,
      /directory/,
    ],
  ] as const)('refuses what cannot be: %#', (work, code, message, hint) => {
    try {
      work();
      expect.unreachable();
    } catch (error) {
      expect(isSlipwayError(error, code)).toBe(true);
      expect((error as Error).message).toMatch(message);
      expect(isSlipwayError(error) ? error.hint : '').toMatch(hint);
    }
  });
});

describe('what applications need', () => {
  const dir = { path: 'application/apps/chart', type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0 } as const;
  const rootfs = { entries: [dir], digest: digestOf(''), skipped: [] };
  const findings = (kubeConstraint: string | undefined, version = 'v1.29.2') =>
    applicationFindings(
      { version, kubeConstraint, applications: image.applications, rootfs },
      launchCommands({ apps: ['chart'] }, image),
    );

  it('is a Kubernetes that KUBEVERSION allows', () => {
    expect(findings(undefined).problems).toEqual([]);
    expect(findings('>=1.24, <1.30').problems).toEqual([]);
    expect(findings('>=1.30').problems).toMatchObject([
      {
        host: undefined,
        problem: 'the applications of the image need Kubernetes >=1.30 (KUBEVERSION), and it installs v1.29.2',
      },
    ]);
  });

  it('is not guessed when it cannot be read', () => {
    const { problems, warnings } = findings('newest');
    expect(problems).toEqual([]);
    expect(warnings[0]).toMatch(/"newest".*not checked/);
  });

  it('is its directory', () => {
    const launched = launchCommands({}, image);
    const { problems } = applicationFindings(
      { ...image, version: 'v1.29.2', kubeConstraint: undefined, rootfs },
      launched,
    );
    expect(problems.map(({ problem }) => problem)).toEqual([
      'the image launches the application web and has no application/apps/web',
      'the image launches the application tool and has no application/apps/tool',
    ]);
  });

  it('is helm for a chart that is launched', () => {
    expect(findings(undefined).warnings).toEqual([expect.stringMatching(/^chart: .*no bin\/helm/)]);
  });
});

it('gives an application its variables: over those of the image, below what is given', () => {
  const host = { A: 'image', B: 'image', C: 'given', HostIP: '10.0.0.2' };
  const given = { C: 'given', HostIP: '10.0.0.2' };
  expect(applicationVariables(host, { A: 'app', C: 'app', HostIP: 'app', 'not-a-name': 'x' }, given)).toEqual({
    A: 'app',
    B: 'image',
    C: 'given',
    HostIP: '10.0.0.2',
  });
});
