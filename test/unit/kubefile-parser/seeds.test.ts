import { expect, test } from 'vitest';
import { lines, parse, raws } from './kit.js';

// The Kubefiles that sealer's own documentation and test suites show must be read as they are.

test('the dashboard of the readme', () => {
  const { stages, warnings } = parse(
    lines(
      '# base ClusterImage contains all the files that run a kubernetes cluster needed.',
      '#    1. kubernetes components like kubectl kubeadm kubelet and apiserver images ...',
      'FROM registry.cn-qingdao.aliyuncs.com/sealer-io/kubernetes:v1.19.8',
      '# download kubernetes dashboard yaml file',
      'RUN wget https://raw.githubusercontent.com/kubernetes/dashboard/v2.2.0/aio/deploy/recommended.yaml',
      '# when run this ClusterImage, will apply a dashboard manifests',
      'CMD kubectl apply -f recommended.yaml',
    ),
  );
  expect(warnings).toEqual([]);
  expect(stages).toHaveLength(1);
  expect(stages[0]?.from.image).toEqual({
    raw: 'registry.cn-qingdao.aliyuncs.com/sealer-io/kubernetes:v1.19.8',
    position: { line: 3, column: 6 },
  });
  expect(stages[0]?.instructions).toMatchObject([
    {
      kind: 'RUN',
      command: {
        form: 'shell',
        text: 'wget https://raw.githubusercontent.com/kubernetes/dashboard/v2.2.0/aio/deploy/recommended.yaml',
      },
      mounts: [],
      position: { line: 5, column: 1, endLine: 5 },
    },
    {
      kind: 'CMD',
      command: { form: 'shell', text: 'kubectl apply -f recommended.yaml' },
      position: { line: 7, column: 1, endLine: 7 },
    },
  ]);
});

test('a base image', () => {
  const { stages, warnings } = parse(
    lines('FROM scratch', 'COPY rootfs/* .', 'COPY ${ARCH} .', 'COPY imageList manifests', 'BASE rootfs cache'),
  );
  expect(warnings).toEqual([]);
  const copies = stages[0]?.instructions.flatMap((node) =>
    node.kind === 'COPY' ? [[...raws(node.sources), node.destination.raw]] : [],
  );
  expect(copies).toEqual([
    ['rootfs/*', '.'],
    ['${ARCH}', '.'],
    ['imageList', 'manifests'],
  ]);
  expect(stages[0]?.instructions[3]).toMatchObject({
    kind: 'BASE',
    dir: { raw: 'rootfs', position: { line: 5, column: 6 } },
    cache: true,
  });
});

test('applications of sealer 0.9', () => {
  const { stages } = parse(
    lines(
      'FROM scratch',
      'APP yamlapp local://yamlcontext',
      'APP mixedapp local://install.sh local://mixedcontext',
      'APPENV mixedapp key1=value1 key2=value2',
      'APPCMDS mixedapp ["kubectl apply -f app.yaml"]',
      'KUBEVERSION >=1.19, <1.22',
      'LAUNCH ["mixedapp","shellapp"]',
    ),
  );
  expect(stages[0]?.instructions).toMatchObject([
    { kind: 'APP', name: { raw: 'yamlapp' }, sources: [{ raw: 'local://yamlcontext' }] },
    { kind: 'APP', sources: [{ raw: 'local://install.sh' }, { raw: 'local://mixedcontext' }] },
    { kind: 'APPENV', pairs: [{ key: { raw: 'key1' }, value: { raw: 'value1' } }, { key: { raw: 'key2' } }] },
    { kind: 'APPCMDS', name: { raw: 'mixedapp' }, commands: ['kubectl apply -f app.yaml'] },
    { kind: 'KUBEVERSION', constraint: { raw: '>=1.19, <1.22' } },
    { kind: 'LAUNCH', apps: ['mixedapp', 'shellapp'] },
  ]);
});

test.each([
  ['LAUNCH myapp', { kind: 'LAUNCH', apps: ['myapp'] }],
  ['LAUNCH a b', { kind: 'LAUNCH', apps: ['a', 'b'] }],
  ['CMDS ["kubectl apply -f manifests/app.yaml"]', { kind: 'CMDS', commands: ['kubectl apply -f manifests/app.yaml'] }],
])('%s', (text, expected) => {
  expect(parse(`FROM scratch\n${text}`).stages[0]?.instructions).toMatchObject([expected]);
});
