import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { redact } from '../../../src/base/redact.js';
import { clusterfileJsonSchema } from '../../../src/install/clusterfile/json-schema.js';
import { readClusterfile } from '../../../src/install/clusterfile/read-clusterfile.js';
import { type Overrides, specFromClusterfile } from '../../../src/install/clusterfile/spec-from-clusterfile.js';
import type { ClusterSpec } from '../../../src/install/spec/cluster-spec.js';

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'slipway-clusterfile-'));
  writeFileSync(join(home, 'secret'), 'from-a-file\nsecond line\n');
  writeFileSync(join(home, 'empty'), '\n');
});
afterAll(() => rmSync(home, { recursive: true }));

const environment = { HOME: '/home/op', SSH_PASS: 'from-the-environment', DB: 'top-secret' };

function specOf(text: string, overrides: Overrides = {}): Promise<ClusterSpec> {
  const file = join(home, 'Clusterfile');
  return specFromClusterfile(readClusterfile(text, 'Clusterfile'), overrides, { file, environment }, () => '10.0.0.1');
}

async function mistakesOf(text: string): Promise<string> {
  try {
    await specOf(text);
  } catch (error) {
    if (isSlipwayError(error, 'E_CLUSTERFILE')) return error.message;
    throw error;
  }
  return 'no mistake';
}

const WHOLE = `# a comment
apiVersion: slipway/v1
kind: Cluster
metadata:
  name: plant-7
spec:
  image: k8s:v1.30.14
  env: [A=1, "B=x=y", "DB=\${env:DB}"]
  cmd: ["kubectl apply -f a.yaml"]
  appNames: [dashboard]
  dataRoot: /data/slipway
  ssh: { user: op, passwd: "\${env:SSH_PASS}", pk: ~/.ssh/id, port: "2222" }
  hosts:
    - ips: [10.0.0.2]
      roles: [master]
      env: [A=2]
      labels: { zone: "a", example.com/disk: ssd }
      taints: ["dedicated=db:NoSchedule", "node-role.kubernetes.io/master:NoSchedule-"]
    - ips: [10.0.0.5-10.0.0.6, localhost]
      roles: [node, storage]
      ssh: { passwd: { file: secret }, port: 22 }
  hostAliases:
    - { ip: 10.0.0.9, hostnames: [nas, nas.plant] }
  containerRuntime: { type: containerd }
  registry:
    localRegistry:
      domain: registry.plant
      port: 5001
      username: puller
      password: { file: secret }
      cert: { subjectAltName: { dnsNames: [r.plant], ips: [10.0.0.9] } }
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
apiServer: { certSANs: [api.plant] }
---
apiVersion: slipway/v1
kind: Config
metadata: { name: c }
spec: { path: etc/c.yaml, strategy: merge, data: "a: 1" }
`;

describe('a Clusterfile', () => {
  it('says all that is wanted', async () => {
    const ssh = { user: 'op', password: 'from-the-environment', privateKey: '/home/op/.ssh/id', port: 2222 };
    const node = {
      roles: ['node', 'storage'],
      ssh: { ...ssh, password: 'from-a-file', port: 22 },
      env: {},
      labels: {},
      taints: [],
    };
    expect(await specOf(WHOLE)).toEqual({
      name: 'plant-7',
      image: 'k8s:v1.30.14',
      env: { A: '1', B: 'x=y', DB: 'top-secret' },
      cmds: ['kubectl apply -f a.yaml'],
      apps: ['dashboard'],
      dataRoot: '/data/slipway',
      hosts: [
        {
          address: '10.0.0.2',
          roles: ['master'],
          ssh,
          env: { A: '2' },
          labels: { zone: 'a', 'example.com/disk': 'ssd' },
          taints: ['dedicated=db:NoSchedule', 'node-role.kubernetes.io/master:NoSchedule-'],
        },
        { address: '10.0.0.5', ...node },
        { address: '10.0.0.6', ...node },
        { address: '10.0.0.1', ...node },
      ],
      hostAliases: [{ address: '10.0.0.9', names: ['nas', 'nas.plant'] }],
      containerRuntime: 'containerd',
      registry: {
        domain: 'registry.plant',
        port: 5001,
        username: 'puller',
        password: 'from-a-file',
        names: ['r.plant', '10.0.0.9'],
      },
      certSANs: [],
      configs: [{ path: 'etc/c.yaml', strategy: 'merge', data: 'a: 1' }],
      plugins: [],
      configDocuments: [
        { apiVersion: 'kubeadm.k8s.io/v1beta3', kind: 'ClusterConfiguration', apiServer: { certSANs: ['api.plant'] } },
      ],
    });
    // Whatever came from the environment or a file will not be shown.
    expect(redact('from-the-environment, from-a-file, top-secret')).toBe('***, ***, ***');
  });

  it('counts less than flags, and its hosts more than what it says for all', async () => {
    const spec = await specOf(WHOLE, {
      image: 'other:v2',
      name: 'other',
      env: { A: 'flag' },
      cmds: ['echo'],
      apps: [],
      ssh: { user: 'admin', port: 2200 },
    });
    expect(spec).toMatchObject({
      image: 'other:v2',
      name: 'other',
      env: { A: 'flag', B: 'x=y' },
      cmds: ['echo'],
      apps: [],
    });
    expect(spec.hosts[0]).toMatchObject({ env: { A: 'flag' }, ssh: { user: 'admin', port: 2200 } });
    expect(spec.hosts[1]).toMatchObject({ ssh: { user: 'admin', port: 22 } });
  });

  it('has defaults', async () => {
    const spec = await specOf(
      'apiVersion: sealer.io/v2\nkind: Cluster\nmetadata: {name: a}\nspec: {image: i, hosts: [{ips: [10.0.0.2], roles: [master]}]}',
    );
    expect(spec).toMatchObject({
      dataRoot: '/var/lib/slipway',
      registry: { domain: 'sea.hub', port: 5000 },
      hosts: [{ ssh: { user: 'root', port: 22 } }],
    });
  });

  it('of sealer.io/v1 says the same in other words', async () => {
    const text = `apiVersion: sealer.io/v1
kind: Cluster
metadata: { name: old }
spec:
  image: k8s:v1.19.8
  provider: BAREMETAL
  certSANS: [aliyun-inc.com, 10.0.0.9]
  env: [A=1]
  ssh: { passwd: hunter22, user: root }
  masters: { ipList: [10.0.0.2, 10.0.0.3] }
  nodes: { ipList: [10.0.0.4] }
`;
    expect(await specOf(text)).toMatchObject({
      certSANs: ['aliyun-inc.com', '10.0.0.9'],
      env: { A: '1' },
      hosts: [
        { address: '10.0.0.2', roles: ['master'], ssh: { password: 'hunter22' } },
        { address: '10.0.0.3', roles: ['master'] },
        { address: '10.0.0.4', roles: ['node'] },
      ],
    });
    expect(await mistakesOf(text.replace('[10.0.0.4]', '[10.0.0.4, 10.0.0.3]'))).toBe(
      'Clusterfile:11:31: spec.hosts.1.ips.1: 10.0.0.3 is a master already',
    );
  });
});

const HEAD = 'apiVersion: slipway/v1\nkind: Cluster\nmetadata: {name: a}\nspec:\n  image: i\n';
const HOSTS = '  hosts:\n  - ips: [10.0.0.2]\n    roles: [master]\n';

describe('mistakes in a Clusterfile', () => {
  it.each([
    ['not YAML', 'a: [1', /^Clusterfile:1:\d+: /],
    ['a key twice', `${HEAD}  image: j\n${HOSTS}`, /^Clusterfile:6:3: Map keys must be unique/],
    ['an empty file', '', /^Clusterfile: there is no document of the kind Cluster$/],
    ['only comments', '# nothing\n---\n', /there is no document of the kind Cluster/],
    ['a list', '- a\n', /^Clusterfile:1:1: not a map with apiVersion and kind$/],
    ['no kind', 'apiVersion: slipway/v1\n', /^Clusterfile:1:1: kind is missing$/],
    ['no apiVersion', 'kind: Cluster\n', /^Clusterfile:1:1: apiVersion is missing$/],
    [
      'another API',
      `${HEAD}${HOSTS}---\napiVersion: apps/v1\nkind: Deployment\n`,
      /^Clusterfile:10:13: unknown apiVersion apps\/v1; known are/,
    ],
    [
      'an unknown kind',
      'apiVersion: slipway/v1\nkind: Clusters\n',
      /^Clusterfile:2:7: unknown kind Clusters; did you mean Cluster\?$/,
    ],
    [
      'a kind for later',
      `${HEAD}${HOSTS}---\napiVersion: sealer.io/v1\nkind: ClusterConfig\n`,
      /^Clusterfile:11:7: documents of the kind ClusterConfig are not supported by this version$/,
    ],
    [
      'a kind that kubeadm does not have',
      `${HEAD}${HOSTS}---\napiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfigurations\n`,
      /has no kind InitConfigurations; did you mean InitConfiguration\?/,
    ],
    [
      'two clusters',
      `${HEAD}${HOSTS}---\n${HEAD}${HOSTS}`,
      /^Clusterfile:10:1: a second Cluster; a Clusterfile describes one$/,
    ],
    [
      'an unknown field',
      `${HEAD}  sssh: {}\n${HOSTS}`,
      /^Clusterfile:6:3: spec\.sssh: unknown field; did you mean ssh\?$/,
    ],
    [
      'an unknown field that is like none',
      `${HEAD}  xyzzy: {}\n${HOSTS}`,
      /^Clusterfile:6:3: spec\.xyzzy: unknown field$/,
    ],
    [
      'an unknown field of a host',
      `${HEAD}${HOSTS}    label: {}\n`,
      /^Clusterfile:9:5: spec\.hosts\.0\.label: unknown field; did you mean labels\?$/,
    ],
    [
      'a field for later',
      `${HEAD}${HOSTS}  ssh: {encrypted: true}\n`,
      /^Clusterfile:9:9: spec\.ssh\.encrypted: encrypted passwords are sealer's/,
    ],
    [
      'two registries',
      `${HEAD}${HOSTS}  registry: {localRegistry: {ha: true}, externalRegistry: {domain: a.example}}\n`,
      /^Clusterfile:9:13: spec\.registry: the images are in a registry of the cluster or in an external one/,
    ],
    [
      'an authority of an external registry that is no certificate',
      `${HEAD}${HOSTS}  registry: {externalRegistry: {domain: a.example, ca: secret}}\n`,
      /^Clusterfile:9:56: spec\.registry\.externalRegistry\.ca: .*secret holds no certificate/,
    ],
    [
      'an authority of a registry without TLS',
      `${HEAD}${HOSTS}  registry: {externalRegistry: {domain: a.example, insecure: true, ca: secret}}\n`,
      /without TLS there is no certificate to check/,
    ],
    ['no hosts', HEAD, /^Clusterfile:5:3: spec\.hosts: is missing$/],
    ['an empty list of hosts', `${HEAD}  hosts: []\n`, /^Clusterfile:6:10: spec\.hosts: a cluster needs a host$/],
    [
      'no master',
      `${HEAD}${HOSTS.replace('master', 'node')}`,
      /^Clusterfile:7:3: spec\.hosts: no host has the role master$/,
    ],
    [
      'no role that counts',
      `${HEAD}${HOSTS.replace('master', 'db')}`,
      /spec\.hosts\.0\.roles: a host is a master or a node/,
    ],
    [
      'what others call a role',
      `${HEAD}${HOSTS.replace('master', 'worker')}`,
      /roles: a host is a master or a node; other roles only come beside that; did you mean node\?$/,
    ],
    ['a role that is written wrong', `${HEAD}${HOSTS.replace('master', 'mastre')}`, /; did you mean master\?$/],
    [
      'a name in place of an address',
      `${HEAD}${HOSTS.replace('10.0.0.2', 'web-1')}`,
      /^Clusterfile:7:11: spec\.hosts\.0\.ips\.0: "web-1" is not an IP address; hosts are given by their addresses, not by names$/,
    ],
    [
      'both roles',
      `${HEAD}${HOSTS.replace('[master]', '[master, node]')}`,
      /^Clusterfile:8:12: spec\.hosts\.0\.roles: a host is a master or a node/,
    ],
    [
      'no address',
      `${HEAD}${HOSTS.replace('10.0.0.2', '10.0.0')}`,
      /^Clusterfile:7:11: spec\.hosts\.0\.ips\.0: "10\.0\.0" is not an IP address$/,
    ],
    [
      'a range backwards',
      `${HEAD}${HOSTS.replace('10.0.0.2', '10.0.0.9-10.0.0.2')}`,
      /the range 10\.0\.0\.9-10\.0\.0\.2 ends before it begins/,
    ],
    [
      'an address twice',
      `${HEAD}${HOSTS.replace('10.0.0.2', '10.0.0.2, 10.0.0.1-10.0.0.3')}`,
      /^Clusterfile:7:21: spec\.hosts\.0\.ips\.1: 10\.0\.0\.2 is there twice$/,
    ],
    [
      'a master that is a node too',
      `${HEAD}${HOSTS}  - ips: [10.0.0.2]\n    roles: [node]\n`,
      /^Clusterfile:9:11: spec\.hosts\.1\.ips\.0: 10\.0\.0\.2 is a master already$/,
    ],
    [
      'a name that is none',
      `${HEAD.replace('name: a', 'name: A_b')}${HOSTS}`,
      /^Clusterfile:3:18: metadata\.name: a cluster name is/,
    ],
    [
      'no image',
      `${HEAD.replace('  image: i\n', '  env: []\n')}${HOSTS}`,
      /spec: image is missing: name it here, or on the command line/,
    ],
    ['an env that is none', `${HEAD}  env: [A]\n${HOSTS}`, /^Clusterfile:6:9: spec\.env\.0: write it NAME=VALUE$/],
    ['an env twice', `${HEAD}  env: [A=1, A=2]\n${HOSTS}`, /^Clusterfile:6:14: spec\.env\.1: A is there twice$/],
    [
      'a variable that is not there',
      `${HEAD}  ssh: {passwd: "\${env:NONE}"}\n${HOSTS}`,
      /^Clusterfile:6:17: spec\.ssh\.passwd: there is no environment variable NONE$/,
    ],
    [
      'a file that is not there',
      `${HEAD}  ssh: {passwd: {file: none}}\n${HOSTS}`,
      /spec\.ssh\.passwd: .*none cannot be read: ENOENT/,
    ],
    [
      'a file that is empty',
      `${HEAD}  ssh: {passwd: {file: empty}}\n${HOSTS}`,
      /spec\.ssh\.passwd: the first line of .*empty is empty/,
    ],
    [
      'a secret that is none',
      `${HEAD}  ssh: {passwd: [1]}\n${HOSTS}`,
      /^Clusterfile:6:17: spec\.ssh\.passwd: write the text itself, "\$\{env:NAME\}", or \{ file: PATH \}$/,
    ],
    [
      'a port that is none',
      `${HEAD}  ssh: {port: 0}\n${HOSTS}`,
      /^Clusterfile:6:15: spec\.ssh\.port: a port is a number from 1 to 65535$/,
    ],
    [
      'a port that is no number',
      `${HEAD}  ssh: {port: "22a"}\n${HOSTS}`,
      /^Clusterfile:6:15: spec\.ssh\.port: a port is a number from 1 to 65535$/,
    ],
    [
      'a taint that is none',
      `${HEAD}${HOSTS}    taints: [a=b]\n`,
      /^Clusterfile:9:14: spec\.hosts\.0\.taints\.0: write it KEY=VALUE:EFFECT/,
    ],
    [
      'a label that is none',
      `${HEAD}${HOSTS}    labels: {a: "b c"}\n`,
      /^Clusterfile:9:17: spec\.hosts\.0\.labels\.a: not a value of a label$/,
    ],
    [
      'an alias without an address',
      `${HEAD}${HOSTS}  hostAliases: [{ip: nas, hostnames: [a]}]\n`,
      /^Clusterfile:9:22: spec\.hostAliases\.0\.ip: "nas" is not an IP address$/,
    ],
    [
      'an alias that is the registry of the cluster',
      `${HEAD}${HOSTS}  hostAliases: [{ip: 10.0.0.9, hostnames: [a, Sea.hub]}]\n`,
      /^Clusterfile:9:47: spec\.hostAliases\.0\.hostnames\.1: Sea\.hub is the registry of the cluster/,
    ],
    [
      'a user of the registry without a password',
      `${HEAD}${HOSTS}  registry: {localRegistry: {username: a}}\n`,
      /username and password belong together/,
    ],
    [
      'a Config outside of the rootfs',
      `${HEAD}${HOSTS}---\napiVersion: slipway/v1\nkind: Config\nmetadata: {name: a}\nspec: {path: ../etc/passwd, data: x}\n`,
      /^Clusterfile:13:14: spec\.path: a path in the rootfs/,
    ],
    [
      'a process that there is not',
      `${HEAD}${HOSTS}---\napiVersion: slipway/v1\nkind: Config\nmetadata: {name: a}\nspec: {path: a, data: x, process: value|toJSON}\n`,
      /^Clusterfile:13:35: spec\.process: unknown process "toJSON"; did you mean toJson\?$/,
    ],
    [
      'a cloud',
      'apiVersion: sealer.io/v1\nkind: Cluster\nmetadata: {name: a}\nspec: {provider: ALI_CLOUD, masters: {ipList: [10.0.0.2]}}\n',
      /^Clusterfile:4:18: spec\.provider: hosts must be there already/,
    ],
  ])('%s', async (_, text, message) => {
    expect(await mistakesOf(text)).toMatch(message);
  });

  it('are told all at once, in the order of the file', async () => {
    const lines = (await mistakesOf(`${HEAD}  env: [A]\n  wrong: 1\n  hosts:\n  - ips: []\n    roles: [x]\n`)).split(
      '\n',
    );
    expect(lines[0]).toBe('3 mistakes:');
    expect(lines.slice(1).map((line) => /Clusterfile:(\d+):/.exec(line)?.[1])).toEqual(['6', '7', '9']);
  });

  it('end in an error of ours, whatever the file is', () => {
    const word = fc.constantFrom(
      'apiVersion: slipway/v1',
      'kind: Cluster',
      '---',
      '  - ',
      'spec:',
      '  hosts:',
      '&a',
      '*a',
      '<<: *a',
      '{',
      '[',
      '"',
      '!!js',
      '? x',
      '\t',
      ': ',
      '\0',
      '|',
      'a: b',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 20 }).map((words) => words.join('\n')),
    );
    fc.assert(
      fc.property(text, (input) => {
        try {
          readClusterfile(input, 'f');
        } catch (error) {
          expect(isSlipwayError(error, 'E_CLUSTERFILE'), String(error)).toBe(true);
        }
      }),
      { numRuns: 500, seed: 7 },
    );
  });

  it('of aliases that would fill the memory', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...Array.from(
        { length: 9 },
        (_, i) =>
          `b${i}: &b${i} [${Array(9)
            .fill(i === 0 ? '*a' : `*b${i - 1}`)
            .join(',')}]`,
      ),
    ];
    expect(() => readClusterfile(`${HEAD}${HOSTS}x:\n  ${bomb.join('\n  ')}\n`, 'f')).toThrow(/alias/i);
  });
});

it('says what is done with the data of a Config', async () => {
  const spec = await specOf(
    `${HEAD}${HOSTS}---\napiVersion: sealer.io/v1\nkind: Config\nmetadata: {name: a}\nspec: {path: a, data: x, process: "value|toJson|toSecret"}\n`,
  );
  expect(spec.configs).toEqual([
    { path: 'a', data: 'x', strategy: 'overwrite', process: ['value', 'toJson', 'toSecret'], name: 'a' },
  ]);
});

it('has a JSON schema that knows every field', () => {
  const text = JSON.stringify(clusterfileJsonSchema());
  for (const field of ['hostAliases', 'subjectAltName', 'ipList', 'strategy', 'taints', 'pkPasswd'])
    expect(text).toContain(`"${field}"`);
});

describe('documents of k0s', () => {
  const cluster =
    'apiVersion: slipway/v1\nkind: Cluster\nmetadata: {name: c}\nspec: {image: i, hosts: [{ips: [10.0.0.1], roles: [master]}]}\n---\n';

  it('are handed on as they are', () => {
    const text = `${cluster}apiVersion: k0s.k0sproject.io/v1beta1\nkind: ClusterConfig\nspec: {network: {provider: calico}}\n`;
    expect(readClusterfile(text, 'Clusterfile').runtimeDocuments).toEqual([
      { apiVersion: 'k0s.k0sproject.io/v1beta1', kind: 'ClusterConfig', spec: { network: { provider: 'calico' } } },
    ]);
  });

  it('have one kind', async () => {
    const text = `${cluster}apiVersion: k0s.k0sproject.io/v1beta1\nkind: ClusterConfiguration\n`;
    expect(await mistakesOf(text)).toContain('has no kind ClusterConfiguration');
  });
});
