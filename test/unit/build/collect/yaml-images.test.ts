import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../../src/base/errors.js';
import { emptyFindings } from '../../../../src/build/collect/found-image.js';
import { manifestImages } from '../../../../src/build/collect/rootfs-images.js';
import { parseYamlTree, splitDocuments } from '../../../../src/build/collect/yaml-tree.js';

/** `name line` of each image, then the warnings. */
function search(text: string, { file = 'm.yaml', fromArgs = false } = {}): { images: string[]; warnings: string[] } {
  const findings = emptyFindings();
  manifestImages(text, file, findings, fromArgs);
  const images = findings.images.map(({ reference, place }) => {
    const digest = reference.tag !== undefined && reference.digest !== undefined ? `@${reference.digest}` : '';
    return `${reference.name}${digest} ${place.line}`;
  });
  return { images, warnings: findings.warnings };
}

const DIGEST = `sha256:${'ab'.repeat(32)}`;

describe('images of manifests', () => {
  it('are found in pod specs wherever these are, with their line', () => {
    const { images, warnings } = search(`apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  initContainers:
  - image: init:1
    name: a
  containers:
  - name: b
    image: "busybox"   # no tag: latest
  ephemeralContainers: [{name: c, image: debug:2}]
  volumes:
  - name: model
    image: {reference: example.com/model:3, pullPolicy: Always}
---
apiVersion: batch/v1
kind: CronJob
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - {image: example.com:5000/job:4, name: d}
---
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: DaemonSet
  spec: {template: {spec: {containers: [{name: e, image: listed@${DIGEST}}]}}}
`);
    expect(warnings).toEqual([]);
    expect(images).toEqual([
      'init:1 6',
      'busybox:latest 10',
      'debug:2 11',
      'example.com/model:3 14',
      'example.com:5000/job:4 24',
      `listed@${DIGEST} 31`,
    ]);
  });

  it('are found in custom resources: containers under any key, whole names, and names in parts', () => {
    const { images } = search(`apiVersion: monitoring.example.com/v1
kind: Prometheus
metadata: {name: p}
spec:
  image: quay.example.com/prometheus:v2
  thanosImage: quay.example.com/thanos:v3
  helpers:
  - name: reloader
    image: reloader
  podTemplate:
    container: {image: argo-step}
  storage:
    image: {repository: example.com/store, tag: 4}
`);
    expect(images).toEqual([
      'quay.example.com/prometheus:v2 5',
      'quay.example.com/thanos:v3 6',
      'reloader:latest 9',
      'argo-step:latest 11',
      'example.com/store:4 13',
    ]);
  });

  it('are not found where "image" means something else', () => {
    const { images, warnings } = search(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  versions:
  - schema:
      openAPIV3Schema: {properties: {image: {type: string, default: "example.com/default:1"}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec: {rbd: {image: disks/one:1, pool: p, monitors: []}}
---
apiVersion: v1
kind: ConfigMap
data: {image: "example.com/data:1"}
---
apiVersion: example.com/v1
kind: Page
spec: {image: "https://example.com/logo.png", icon: {image: plain}}
`);
    expect({ images, warnings }).toEqual({ images: [], warnings: [] });
  });

  it('are found in JSON, tabs and all', () => {
    const text =
      '{\n\t"kind": "Pod",\n\t"apiVersion": "v1",\n\t"spec": {"containers": [\n\t\t{"name": "a", "image": "web:1"}\n\t]}\n}\n';
    expect(search(text, { file: 'm.json' })).toEqual({ images: ['web:1 5'], warnings: [] });
  });

  it('are found through anchors, aliases and merge keys, each place once', () => {
    const { images } = search(`x-image: &web example.com/web:1
base: &base {name: base, image: example.com/base:2}
spec:
  containers:
  - name: a
    image: *web
  - {<<: *base, name: b}
  - *base
`);
    expect([...new Set(images)]).toEqual(['example.com/base:2 2', 'example.com/web:1 1']);
  });

  it('are looked for in arguments and environment variables only when that is asked for', () => {
    const text = `spec:
  containers:
  - name: operator
    image: operator:1
    args: ["--reloader=quay.example.com/team/reloader:v1", --listen=0.0.0.0:8080, --sidecar-image, "envoy:v2", --image=busybox:3, --path=a/b:c, --log=info]
    env:
    - {name: RELATED_IMAGE_DB, value: "team/db:4"}
    - {name: ADDRESS, value: "db.example.com:5432"}
    - {name: OTHER, value: "ghcr.io/team/tool:5"}
`;
    expect(search(text).images).toEqual(['operator:1 4']);
    expect(
      search(text, { fromArgs: true })
        .images.map((line) => line.split(' ')[0])
        .sort(),
    ).toEqual([
      'busybox:3',
      'envoy:v2',
      'ghcr.io/team/tool:5',
      'operator:1',
      'quay.example.com/team/reloader:v1',
      'team/db:4',
    ]);
  });
});

describe('what is no image name, or no YAML', () => {
  it('is told with its place, and credentials are not repeated', () => {
    const { images, warnings } = search(`containers:
- {name: a, image: Upper/Case:1}
- {name: b, image: "user:hunter22@example.com/x:1"}
- {name: c, image: "$(REGISTRY)/x:1"}
- {name: d, image: ""}
- {name: e, image: null}
`);
    expect(images).toEqual([]);
    expect(warnings).toEqual([
      expect.stringMatching(/^m\.yaml:2: .*lower case/),
      expect.stringMatching(/^m\.yaml:3: .*credentials/),
      expect.stringMatching(/^m\.yaml:4: .*template/),
    ]);
    expect(warnings.join()).not.toContain('hunter22');
  });

  it('is searched line by line; a template is not called broken', () => {
    const broken = search('a: [1\ncontainers:\n- image: web:1\n');
    expect(broken.images).toEqual(['web:1 3']);
    expect(broken.warnings).toEqual([expect.stringMatching(/^m\.yaml:2:\d+: not valid YAML/)]);
    const template = search(
      '{{- if .x }}\ncontainers:\n- image: web:1\n- image: {{ .Values.image }}\n{{- end }}\n---\ncontainers: [{name: a, image: "second:2"}]\n',
      { file: 'm.yaml.tmpl' },
    );
    expect(template.images).toEqual(['web:1 3', 'second:2 7']);
    expect(template.warnings).toEqual([expect.stringMatching(/^m\.yaml\.tmpl:1: a template makes an image here/)]);
  });

  it.each([
    ['brackets', 'image: '.concat('['.repeat(5000))],
    ['dashes', `image:\n${'- '.repeat(5000)}a`],
    ['dashes of lines', `image:\n${Array.from({ length: 3000 }, (_, n) => `${' '.repeat(n)}-`).join('\n')}`],
    ['indentation', Array.from({ length: 2000 }, (_, n) => `${' '.repeat(n)}image:`).join('\n')],
    ['size', `image: x\n${'- name: web\n  text: web:1\n'.repeat(100_000)}`],
    [
      'merge keys',
      `image: x\nbase: &a {${Array.from({ length: 5000 }, (_, n) => `k${n}: 1`).join(', ')}}\n${'- {<<: *a}\n'.repeat(5000)}`,
    ],
  ])('does no harm by its %s', (_what, text) => {
    expect(search(text).warnings.length).toBe(1);
  });

  it('is refused when one file asks for more images than a cluster has', () => {
    expect(() => search('- {name: web, image: "web:1"}\n'.repeat(30_000))).toThrow(
      /m\.yaml:\d+: more than 20000 images/,
    );
  });

  it('may hold itself, or everything a thousand times', () => {
    expect(search('a: &a [*a, {name: x, image: web:1}]\n').images).toEqual(['web:1 1']);
    const laughs = `a0: &a0 [{name: x, image: web:1}]\n${Array.from({ length: 60 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n}, `.repeat(9)}]`).join('\n')}\n`;
    expect(search(laughs).images).toEqual(['web:1 1']);
  });

  it('never throws anything but a SlipwayError, whatever the text is', () => {
    const piece = fc.constantFrom(
      'image: ',
      'a',
      ':',
      '- ',
      '\n',
      ' ',
      '{',
      '}',
      '[',
      ']',
      '&a ',
      '*a',
      '<<: ',
      '"',
      "'",
      '|',
      '>',
      '---\n',
      '!!x ',
      '#',
      '\t',
      '?',
      'containers:\n',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        try {
          search(pieces.join(''));
        } catch (error) {
          if (!isSlipwayError(error)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('documents of a stream', () => {
  it('keep their lines, and "---" ends one also inside a block of text', () => {
    const text = '# head\n---\na: |\n  text\n---\nb: 1\n---\n---\nc: 2';
    expect(splitDocuments(text).map(({ line }) => line)).toEqual([1, 2, 5, 7, 8]);
    const trees = splitDocuments(text).map((one) => parseYamlTree(one, 'f'));
    expect(trees.map((tree) => tree?.place.line)).toEqual([undefined, 3, 6, 7, 9]);
  });
});
