import { describe, expect, it } from 'vitest';
import { detectApplication } from '../../../../src/build/apps/detect.js';

const detect = (...sources: string[][]) => detectApplication('web', sources);

describe('what an application is', () => {
  it('is kube when all is YAML: every file, source after source', () => {
    expect(detect(['ns.yaml'], ['a.yml', 'sub/b.YAML'])).toEqual({
      type: 'kube',
      files: ['ns.yaml', 'a.yml', 'sub/b.YAML'],
    });
  });

  it('is shell when all are scripts: those of the first source are started', () => {
    expect(detect(['install.sh'], ['lib.sh'])).toEqual({ type: 'shell', files: ['install.sh'] });
    expect(detect(['1.sh', '2.sh'])).toEqual({ type: 'shell', files: ['1.sh', '2.sh'] });
    expect(detect(['README.md'], ['x.sh'])).toEqual({ type: 'shell', files: ['x.sh'] });
  });

  it('is helm when there is a Chart.yaml, wherever it came from', () => {
    expect(detect(['Chart.yaml', 'values.yaml', 'templates/a.yaml', 'templates/_x.tpl'])).toEqual({
      type: 'helm',
      files: ['web'],
    });
    expect(detect(['values.yaml'], ['Chart.yaml', 'install.sh'])).toEqual({ type: 'helm', files: ['web'] });
    expect(detect(['sub/Chart.yaml'])).toMatchObject({ type: 'kube' });
  });

  it('is applied as a kustomization when it is one', () => {
    expect(detect(['kustomization.yaml', 'a.yaml'])).toEqual({
      type: 'kube',
      files: ['kustomization.yaml', 'a.yaml'],
      cmds: ['kubectl apply -k .'],
    });
    expect(detect(['Kustomization', 'a.yaml'])).toMatchObject({ cmds: ['kubectl apply -k .'] });
    expect(detect(['overlay/kustomization.yaml'])).not.toHaveProperty('cmds');
  });

  it('is not changed by what is for people, or hidden', () => {
    expect(
      detect(['README.md', 'LICENSE', 'LICENSE-2.0', 'notes.txt', '.gitignore', '.github/x.js', 'a.yaml']),
    ).toEqual({
      type: 'kube',
      files: ['a.yaml'],
    });
  });

  it('counts a template as what it becomes', () => {
    expect(detect(['a.yaml.tmpl', 'b.yaml', 'b.yaml.tmpl'])).toEqual({ type: 'kube', files: ['a.yaml', 'b.yaml'] });
  });

  it.each([
    [['install.sh', 'a.yaml']],
    [['a.yaml', 'a.json']],
    [['program']],
    [['x.tgz']],
    [['x.tmpl']],
    [['README.md']],
    [[]],
    [['yaml']],
  ])('is not known: %j', (files) => {
    expect(detect(files)).toEqual({ type: undefined, files: [] });
  });
});
