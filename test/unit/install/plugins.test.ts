import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { digestOf } from '../../../src/image/digest.js';
import { clusterfileJsonSchema } from '../../../src/install/clusterfile/json-schema.js';
import { readClusterfile } from '../../../src/install/clusterfile/read-clusterfile.js';
import type { WantedEntry } from '../../../src/install/files/rootfs.js';
import { hooksAt } from '../../../src/install/hooks/hooks-at.js';
import { readImagePlugins } from '../../../src/install/hooks/image-plugins.js';
import { marksOf, pluginWarnings, wantedHostnames } from '../../../src/install/hooks/plugin-marks.js';
import { shellHookScript } from '../../../src/install/hooks/run-shell.js';
import { HOOK_PHASE_NAMES } from '../../../src/install/spec/hook-phases.js';
import { isSelected, labelSelector, parseHostSelector } from '../../../src/install/spec/host-selector.js';
import { CLUSTERFILE_SOURCE, type PluginSpec } from '../../../src/install/spec/plugin-spec.js';

const CLUSTER = `apiVersion: slipway/v1
kind: Cluster
metadata: {name: a}
spec:
  image: k8s:v1
  hosts: [{ips: [10.0.0.2], roles: [master]}]
---
`;
const plugin = (spec: string, name = 'p'): string =>
  `${CLUSTER}apiVersion: sealer.io/v1\nkind: Plugin\nmetadata: {name: ${name}}\nspec:\n${spec}`;

/** As much of the JSON schema as is looked at. */
interface SchemaOfDocuments {
  readonly anyOf: readonly {
    readonly properties: {
      readonly kind: { readonly const?: string };
      readonly spec?: { readonly properties: Readonly<Record<string, { readonly pattern?: string }>> };
    };
  }[];
}

function pluginsOf(text: string): readonly PluginSpec[] {
  return readClusterfile(text, 'Clusterfile').plugins;
}

function mistakesOf(text: string): string {
  try {
    readClusterfile(text, 'Clusterfile');
  } catch (error) {
    if (isSlipwayError(error, 'E_CLUSTERFILE')) return error.message;
    throw error;
  }
  return 'no mistake';
}

const shell = (name: string, more: Partial<PluginSpec> = {}): PluginSpec => ({
  name,
  type: 'SHELL',
  phases: ['post-install'],
  data: name,
  source: CLUSTERFILE_SOURCE,
  ...more,
});

describe('plugins of a Clusterfile', () => {
  it('are those of sealer, of all versions', () => {
    const text = `${CLUSTER}apiVersion: sealer.aliyun.com/v1alpha1
kind: Plugin
metadata:
  name: prepare
spec:
  type: SHELL
  action: PreInit|PreJoin
  'on': 10.0.0.2,10.0.0.5-10.0.0.6
  data: |
    modprobe br_netfilter
---
apiVersion: sealer.io/v2
kind: Plugin
metadata: { name: after }
spec: { type: SHELL, action: post-install | post-scaleup, scope: master|storage, timeout: 1h, data: kubectl get nodes }
---
apiVersion: sealer.io/v1
kind: Plugin
metadata: { name: checkCluster }
spec: { type: CLUSTERCHECK }
---
apiVersion: sealer.io/v1
kind: Plugin
metadata: { name: SHELL }
spec: { action: PostInstall, on: node-role.kubernetes.io/master=, data: echo hi }
---
apiVersion: slipway/v1
kind: Plugin
metadata: { name: backup }
spec: { type: ETCD, action: pre-uninstall, on: /backup/etcd.db }
`;
    const source = CLUSTERFILE_SOURCE;
    expect(pluginsOf(text)).toEqual([
      {
        name: 'prepare',
        type: 'SHELL',
        phases: ['PreInit', 'PreJoin'],
        on: '10.0.0.2,10.0.0.5-10.0.0.6',
        data: 'modprobe br_netfilter\n',
        source,
      },
      {
        name: 'after',
        type: 'SHELL',
        phases: ['post-install', 'post-scaleup'],
        scope: 'master|storage',
        timeoutMs: 3_600_000,
        data: 'kubectl get nodes',
        source,
      },
      { name: 'checkCluster', type: 'CLUSTERCHECK', phases: ['PreGuest'], data: '', source },
      {
        name: 'SHELL',
        type: 'SHELL',
        phases: ['PostInstall'],
        on: 'node-role.kubernetes.io/master=',
        data: 'echo hi',
        source,
      },
      { name: 'backup', type: 'ETCD', phases: ['pre-uninstall'], on: '/backup/etcd.db', data: '', source },
    ]);
  });

  it.each([
    [
      'an unknown phase',
      '  type: SHELL\n  action: PostInstal\n  data: x\n',
      'Clusterfile:13:11: spec.action: unknown phase "PostInstal"; did you mean PostInstall?',
    ],
    [
      'one unknown phase of several',
      '  {type: SHELL, action: pre-install|pre-host, data: x}\n',
      /^Clusterfile:12:25: spec\.action: unknown phase "pre-host"/,
    ],
    [
      'an unknown type',
      '  type: SHEL\n  action: PreInit\n  data: x\n',
      'Clusterfile:12:9: spec.type: unknown type "SHEL"; did you mean SHELL?',
    ],
    [
      'a type of a Go plugin',
      '  type: MY_SO\n  action: PreInit\n',
      'Clusterfile:12:9: spec.type: unknown type "MY_SO"; known are SHELL, LABEL, TAINT, HOSTNAME, CLUSTERCHECK, ETCD',
    ],
    [
      'an unknown field',
      '  type: SHELL\n  actions: PreInit\n  data: x\n',
      'Clusterfile:13:3: spec.actions: unknown field; did you mean action?',
    ],
    ['no type', '  action: PreInit\n  data: x\n', /spec\.type: is missing; it is one of SHELL/],
    ['no phase', '  type: SHELL\n  data: x\n', /spec\.action: is missing/],
    ['an empty phase', '  type: SHELL\n  action: "|"\n  data: x\n', /spec\.action: names no phase/],
    ['no script', '  type: SHELL\n  action: PreInit\n', /spec\.data: is missing: the script/],
    ['a NUL in the script', '  type: SHELL\n  action: PreInit\n  data: "a\\0b"\n', /spec\.data: has a NUL character/],
    [
      'hosts that are none',
      "  {type: SHELL, action: PreInit, data: x, 'on': 10.0.0}\n",
      /spec\.on: "10\.0\.0" is not an IP/,
    ],
    ['no hosts', "  {type: SHELL, action: PreInit, data: x, 'on': ' '}\n", /spec\.on: names no hosts: leave it out/],
    [
      'labels before there are nodes',
      "  {type: SHELL, action: PreInit|PostInstall, data: x, 'on': a=b}\n",
      /spec\.on: at PreInit nodes have no labels yet, or none any more: choose by role or address$/,
    ],
    ['labels that are none', "  {type: SHELL, action: PreGuest, data: x, 'on': 'a=b c'}\n", /"a=b c" is not a label/],
    ['no duration', '  {type: SHELL, action: PreInit, data: x, timeout: 10}\n', /spec\.timeout: must be a text/],
    ['another duration', '  {type: SHELL, action: PreInit, data: x, timeout: soon}\n', /spec\.timeout: not a duration/],
    [
      'a check without a cluster',
      '  {type: CLUSTERCHECK, action: PreInit}\n',
      /at PreInit there is no cluster that CLUSTERCHECK/,
    ],
    [
      'a snapshot somewhere',
      "  {type: ETCD, action: upgrade, 'on': etcd.db}\n",
      /spec\.on: is the file of the snapshot on the master: an absolute/,
    ],
    [
      'a label of no host',
      '  type: LABEL\n  data: |\n    10.0.0.2 a=b\n    10.0.0.3\n',
      'Clusterfile:13:9: spec.data: line 2: write it ADDRESS KEY=VALUE',
    ],
    ['a label that is none', '  {type: LABEL, data: "10.0.0.2 a"}\n', /line 1: "a" is not a label/],
    ['a taint that is none', '  {type: TAINT, data: "10.0.0.2 a=b:Never"}\n', /line 1: "a=b:Never" is not a taint/],
    ['a hostname that is none', '  {type: HOSTNAME, data: "10.0.0.2 M_1"}\n', /line 1: "M_1" cannot name a node/],
    [
      'one name twice',
      '  {type: HOSTNAME, data: "10.0.0.2-10.0.0.3 m1"}\n',
      /one name for one host: 10\.0\.0\.2 m1, 10\.0\.0\.3 m1/,
    ],
    [
      'hosts beside lines',
      '  {type: LABEL, scope: master, data: "10.0.0.2 a=b"}\n',
      /spec\.scope: LABEL chooses no hosts: the lines/,
    ],
  ])('%s is a mistake', (_, spec, message) => {
    if (typeof message === 'string') expect(mistakesOf(plugin(spec))).toBe(message);
    else expect(mistakesOf(plugin(spec))).toMatch(message);
  });

  it('are in the JSON schema', () => {
    const text = JSON.stringify(clusterfileJsonSchema());
    for (const word of ['Plugin', 'HOSTNAME', 'post-clean-host', 'timeout', 'toSecret']) expect(text).toContain(word);
    const { anyOf } = clusterfileJsonSchema() as unknown as SchemaOfDocuments;
    const own = anyOf.find(({ properties }) => properties.kind.const === 'Plugin');
    const pattern = own?.properties.spec?.properties.action?.pattern ?? 'missing';
    for (const action of [...HOOK_PHASE_NAMES, 'PreInit|PreJoin', 'pre-install | post-install'])
      expect(action).toMatch(new RegExp(pattern, 'u'));
    expect('PreInit|Never').not.toMatch(new RegExp(pattern, 'u'));
  });
});

describe('hosts are chosen', () => {
  const master = { address: '10.0.0.2', roles: ['master'] };
  const second = { address: '10.0.0.3', roles: ['master'] };
  const node = { address: '10.0.0.4', roles: ['node', 'storage'] };
  const chosen = (text: string | undefined): string[] =>
    [master, second, node].filter((host) => isSelected(host, text, master.address)).map(({ address }) => address);

  it.each([
    [undefined, ['10.0.0.2', '10.0.0.3', '10.0.0.4']],
    ['master', ['10.0.0.2', '10.0.0.3']],
    ['role=node', ['10.0.0.4']],
    ['master0', ['10.0.0.2']],
    ['storage|master0', ['10.0.0.2', '10.0.0.4']],
    ['10.0.0.3-10.0.0.9', ['10.0.0.3', '10.0.0.4']],
    ['10.0.0.4, master0', ['10.0.0.2', '10.0.0.4']],
    ['nobody', []],
  ])('by %s', (text, addresses) => {
    expect(chosen(text)).toEqual(addresses);
  });

  it('by labels, which only the cluster knows', () => {
    expect(labelSelector('disk=ssd, zone!=a')).toBe('disk=ssd,zone!=a');
    expect(labelSelector('node-role.kubernetes.io/master=')).toBe('node-role.kubernetes.io/master=');
    expect(labelSelector('master')).toBeUndefined();
    expect(chosen('disk=ssd')).toHaveLength(3);
    expect(parseHostSelector('a=$(reboot)')).toMatch(/is not a label/);
  });
});

describe('what lines of plugins give to nodes', () => {
  const plugins = [
    shell('l1', { type: 'LABEL', data: '# a comment\n10.0.0.2-10.0.0.3 disk=ssd,zone=a\n\n10.0.0.3 zone=b\n' }),
    shell('t1', { type: 'TAINT', data: '10.0.0.2,10.0.0.3 a=1:NoSchedule\n10.0.0.3 gone-\n10.0.0.2 a=2:NoSchedule-' }),
    shell('h1', { type: 'HOSTNAME', data: '10.0.0.2 m1\n10.0.0.3 n1' }),
  ];
  it('are labels and taints; those of the host itself count more', () => {
    expect(marksOf({ address: '10.0.0.2' }, plugins)).toEqual({
      labels: { disk: 'ssd', zone: 'a' },
      taints: ['a=2:NoSchedule-'],
    });
    expect(marksOf({ address: '10.0.0.3', labels: { zone: 'c' }, taints: ['a=9:NoSchedule'] }, plugins)).toEqual({
      labels: { disk: 'ssd', zone: 'c' },
      taints: ['gone:NoSchedule-', 'gone:PreferNoSchedule-', 'gone:NoExecute-', 'a=9:NoSchedule'],
    });
    expect(marksOf({ address: '10.0.0.4' }, plugins)).toEqual({ labels: {}, taints: [] });
  });

  it('are names', () => {
    expect([...wantedHostnames(plugins)]).toEqual([
      ['10.0.0.2', 'm1'],
      ['10.0.0.3', 'n1'],
    ]);
  });

  it('of hosts and roles that there are not is told', () => {
    const hosts = [{ address: '10.0.0.2', roles: ['master'], ssh: { user: 'root', port: 22 }, env: {} }];
    expect(pluginWarnings([...plugins, shell('s', { on: 'matser|node' })], { hosts })).toEqual([
      'plugin l1 (the Clusterfile) is for 10.0.0.3: no host of the cluster',
      'plugin t1 (the Clusterfile) is for 10.0.0.3: no host of the cluster',
      'plugin h1 (the Clusterfile) is for 10.0.0.3: no host of the cluster',
      'plugin s (the Clusterfile) is for the role matser, which no host has',
    ]);
  });
});

describe('the hooks of one moment', () => {
  const ids = (plugins: readonly PluginSpec[], ...phases: Parameters<typeof hooksAt>[1]): string[] =>
    hooksAt(plugins, phases).map(({ id, plugin: { source } }) => `${id} (${source})`);

  it('are run by name, and of the same name first those of the image', () => {
    const image = 'plugins/x.yaml of the image';
    expect(
      ids(
        [
          shell('c', { source: image }),
          shell('a', { data: 'of the image', source: image }),
          shell('b'),
          shell('a', { data: 'of the file' }),
          shell('B', { phases: ['PreInit', 'pre-init-host'] }),
        ],
        'post-install',
        'PreInit',
        'pre-init-host',
      ),
    ).toEqual([
      'hook-PreInit-B (the Clusterfile)',
      'hook-pre-init-host-B (the Clusterfile)',
      `hook-post-install-a (${image})`,
      'hook-post-install-a#2 (the Clusterfile)',
      'hook-post-install-b (the Clusterfile)',
      `hook-post-install-c (${image})`,
    ]);
  });

  it('are there once, when image and Clusterfile say the same', () => {
    expect(ids([shell('a', { source: 'plugins/a.yaml of the image' }), shell('a')], 'post-install')).toEqual([
      'hook-post-install-a (plugins/a.yaml of the image)',
    ]);
  });

  it('are not those that have a place of their own', () => {
    expect(ids([shell('l', { type: 'LABEL', data: '' })], 'post-install')).toEqual([]);
  });
});

describe('plugins of an image', () => {
  function file(path: string, text: string): WantedEntry {
    const bytes = Buffer.from(text);
    const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
    return { ...attributes, path, type: 'file', size: bytes.length, digest: digestOf(bytes), content: { bytes } };
  }
  const document = (name: string, spec = '{type: SHELL, action: PreInit, data: x}'): string =>
    `apiVersion: sealer.io/v1\nkind: Plugin\nmetadata: {name: ${name}}\nspec: ${spec}\n`;

  it('are in the YAML files of plugins/, nowhere else', async () => {
    const { plugins, warnings } = await readImagePlugins({
      entries: [
        file('plugins/a.yml', document('a')),
        file('plugins/b.YAML', `---\n${document('b')}---\n${document('c')}`),
        file('plugins/README.md', 'read me'),
        file('plugins/deeper/d.yaml', 'no YAML: ['),
        file('plugins/old.so', ''),
        file('etc/e.yaml', document('e')),
      ],
    });
    expect(plugins.map(({ name, source }) => `${name}: ${source}`)).toEqual([
      'a: plugins/a.yml of the image',
      'b: plugins/b.YAML of the image',
      'c: plugins/b.YAML of the image',
    ]);
    expect(warnings).toEqual(['plugins/old.so of the image: plugins written in Go are not run']);
  });

  it('have mistakes with file, line and column', async () => {
    const wrong = readImagePlugins({
      entries: [
        file('plugins/a.yaml', document('a', '{type: SHELL, action: PreInt, data: x}')),
        file('plugins/b.yaml', 'kind: Config\n'),
      ],
    });
    await expect(wrong).rejects.toMatchObject({
      code: 'E_CLUSTERFILE',
      message: expect.stringMatching(
        /plugins\/a\.yaml of the image:4:\d+: spec\.action: unknown phase "PreInt"; did you mean PreInit\?[\s\S]*plugins\/b\.yaml of the image:1:1: not a document of the kind Plugin/,
      ),
      hint: expect.stringMatching(/^docs\/hooks\.md /),
    });
    await expect(readImagePlugins({ entries: [file('plugins/a.yaml', 'a: [')] })).rejects.toMatchObject({
      hint: expect.stringMatching(/^docs\/hooks\.md /),
    });
  });
});

describe('the script of a hook', () => {
  it('is no word of a command line, whatever is in it', () => {
    const script = shellHookScript('echo \'a\' "$HOME" `date`', { rootfs: '/var/lib/slipway/data/a/rootfs' });
    expect(script).toMatch(
      /^cd '\/var\/lib\/slipway\/data\/a\/rootfs' \|\| exit 1\nPATH=.*\nexec bash \/dev\/fd\/3 3<<'(SLIPWAY_HOOK_[0-9a-f]{32})'\necho 'a' "\$HOME" `date`\n\1$/,
    );
  });
});
