// What a Clusterfile says of applications: kind Application.
import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { wantedApplications } from '../../../src/install/clusterfile/app-configs.js';
import { clusterfileJsonSchema } from '../../../src/install/clusterfile/json-schema.js';
import { readApplicationFile, readClusterfile } from '../../../src/install/clusterfile/read-clusterfile.js';
import { type Overrides, specFromClusterfile } from '../../../src/install/clusterfile/spec-from-clusterfile.js';
import { appConfigFiles, launchCommands } from '../../../src/install/files/applications.js';
import type { ClusterSpec } from '../../../src/install/spec/cluster-spec.js';

const CLUSTER = `apiVersion: slipway/v1
kind: Cluster
metadata: { name: plant }
spec:
  image: k8s:v1
  hosts: [{ ips: [10.0.0.2], roles: [master] }]
`;
const APPLICATION = `apiVersion: sealer.io/v2
kind: Application
metadata: { name: shop }
spec:
  cmds: [kubectl get ns]
  launchApps: [web, db]
  configs:
    - name: web
      env: [A=1, "B=\${env:B}"]
      files:
        - { path: values.yaml, strategy: merge, data: "a: 1" }
        - { path: sub/x.conf, data: x }
      launch: { cmds: [start] }
      delete: { cmds: [stop, sweep] }
`;
const sources = { file: 'Clusterfile', environment: { B: 'of-here' } };

function specOf(text: string, overrides: Overrides = {}): Promise<ClusterSpec> {
  return specFromClusterfile(readClusterfile(text, 'Clusterfile'), overrides, sources, () => '10.0.0.1');
}

async function mistakesOf(text: string): Promise<string> {
  try {
    await specOf(`${CLUSTER}---\n${text}`);
  } catch (error) {
    if (isSlipwayError(error, 'E_CLUSTERFILE')) return error.message;
    throw error;
  }
  return 'no mistake';
}

describe('an Application', () => {
  const config = {
    name: 'web',
    env: { A: '1', B: 'of-here' },
    files: [
      { path: 'values.yaml', strategy: 'merge', data: 'a: 1' },
      { path: 'sub/x.conf', strategy: 'overwrite', data: 'x' },
    ],
    launch: ['start'],
    delete: ['stop', 'sweep'],
  };

  it('configures the applications of a cluster image, and counts less than Cluster and flags', async () => {
    const spec = await specOf(`${CLUSTER}---\n${APPLICATION}`);
    expect(spec).toMatchObject({ cmds: ['kubectl get ns'], apps: ['web', 'db'], appConfigs: [config] });
    expect(appConfigFiles(spec.appConfigs).map(({ path }) => path)).toEqual([
      'application/apps/web/values.yaml',
      'application/apps/web/sub/x.conf',
    ]);
    const cluster = CLUSTER.replace('spec:', 'spec:\n  cmd: [one]\n  appNames: [db]');
    expect(await specOf(`${cluster}---\n${APPLICATION}`)).toMatchObject({ cmds: ['one'], apps: ['db'] });
    const flags = await specOf(`${cluster}---\n${APPLICATION}`, { cmds: ['two'], env: { A: '2', C: '3' } });
    expect(flags).toMatchObject({ cmds: ['two'], appConfigs: [{ env: { A: '2', B: 'of-here' } }] });
    expect((await specOf(CLUSTER)).appConfigs).toBeUndefined();
  });

  it('is read without a cluster for one that is up', () => {
    const { clusterName, application } = readApplicationFile(APPLICATION, 'apps.yaml');
    expect(clusterName).toBeUndefined();
    const mistakes: string[] = [];
    const { appConfigs, apps } = wantedApplications(application, {}, sources, mistakes);
    expect(mistakes).toEqual([]);
    expect(apps).toEqual(['web', 'db']);
    expect(appConfigs).toEqual([{ ...config, place: 'apps.yaml:8:13' }]);
    expect(readApplicationFile(`${CLUSTER}---\n${APPLICATION}`, 'x').clusterName).toBe('plant');
    expect(() => readApplicationFile(CLUSTER, 'x')).toThrow('x: there is no document of the kind Application');
  });

  it('launches and names what the image has', async () => {
    const { appConfigs } = await specOf(`${CLUSTER}---\n${APPLICATION}`);
    const image = { name: 'k8s:v1', launchCmds: [], launchApps: ['web'], applications: [{ name: 'web', cmds: ['x'] }] };
    expect(launchCommands({ appConfigs }, image).map(({ command }) => command)).toEqual(['start']);
    const other = { ...image, launchApps: [], applications: [{ name: 'wob', cmds: ['x'] }] };
    try {
      launchCommands({ appConfigs }, other);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        code: 'E_CLUSTERFILE',
        message: 'Clusterfile:15:13: k8s:v1 has no application "web"',
        hint: 'did you mean wob?',
      });
    }
  });

  it.each([
    ['  launchApp: [a]', 'Clusterfile:12:3: spec.launchApp: unknown field; did you mean launchApps?'],
    ['  configs: [{ env: [] }]', 'Clusterfile:12:13: spec.configs.0.name: is missing'],
    [
      '  configs: [{ name: a, file: [] }]',
      'Clusterfile:12:24: spec.configs.0.file: unknown field; did you mean files?',
    ],
    ['  configs: [{ name: a }, { name: a }]', 'Clusterfile:12:34: spec.configs.1.name: a is there twice'],
    ['  configs: [{ name: a, env: [A] }]', 'Clusterfile:12:30: spec.configs.0.env.0: write it NAME=VALUE'],
    [
      '  configs: [{ name: a, env: ["A=${env:NO}"] }]',
      'Clusterfile:12:30: spec.configs.0.env.0: there is no environment variable NO',
    ],
    [
      '  configs: [{ name: a, files: [{ path: ../x, data: "" }] }]',
      'Clusterfile:12:40: spec.configs.0.files.0.path: a path in the directory of the application, such as values.yaml, without ".."',
    ],
    [
      '  configs: [{ name: a, files: [{ path: x, data: a }, { path: x, data: b }] }]',
      'Clusterfile:12:62: spec.configs.0.files.1.path: x is there twice',
    ],
    ['  configs: [{ name: a, launch: {} }]', 'Clusterfile:12:32: spec.configs.0.launch.cmds: is missing'],
    [
      '  configs: [{ name: a, delete: { cmds: [] } }]',
      'Clusterfile:12:40: spec.configs.0.delete.cmds: a command is missing',
    ],
  ])('tells a mistake with its place: %s', async (line, message) => {
    const text = `# a comment\napiVersion: slipway/v1\nkind: Application\nspec:\n${line}\nmetadata: { name: shop }\n`;
    expect(await mistakesOf(text)).toBe(message);
  });

  it('is described once, and in the schema', async () => {
    expect(await mistakesOf(`${APPLICATION}---\n${APPLICATION}`)).toContain('a second Application');
    expect(await mistakesOf(APPLICATION.replace('Application', 'Aplication'))).toContain('did you mean Application?');
    const { anyOf } = clusterfileJsonSchema() as { anyOf: { properties: { kind: { const?: string } } }[] };
    expect(anyOf.map(({ properties }) => properties.kind.const)).toContain('Application');
  });
});
