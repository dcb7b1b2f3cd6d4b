import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { renderTemplate } from '../../../src/install/files/template.js';

const VALUES = { RegistryURL: 'sea.hub:5000', HostIP: '10.0.0.2', Empty: '' };
const render = (text: string) => renderTemplate(text, VALUES, 'etc/x.yml.tmpl');

describe('templates', () => {
  it.each([
    ['image: {{ .RegistryURL }}/pause', 'image: sea.hub:5000/pause'],
    ['{{.HostIP}}{{.HostIP}}', '10.0.0.210.0.0.2'],
    ['a {{- .HostIP -}} \n b', 'a10.0.0.2b'],
    ['a\n{{- /* a remark */ -}}\nb', 'ab'],
    ['{{ "{{" }} .Values.x {{ "}}" }}', '{{ .Values.x }}'],
    ['{{ `back\\tick` }}', 'back\\tick'],
    ['{{ "a\\nb\\"" }}', 'a\nb"'],
    ['[{{ .Empty }}]', '[]'],
    ['{{ b64enc .HostIP }} {{ .HostIP | b64enc }}', 'MTAuMC4wLjI= MTAuMC4wLjI='],
    ['{{ .Empty|b64dec }}', ''],
    ['no action, $HostIP, ${HostIP}, { {', 'no action, $HostIP, ${HostIP}, { {'],
  ])('%j gives %j', (text, expected) => {
    expect(render(text)).toBe(expected);
  });

  it('say where a variable is unknown, and which one is meant', () => {
    try {
      render('a\nb\n  c: {{ .RegistryUrl }}');
      expect.unreachable();
    } catch (error) {
      expect(isSlipwayError(error, 'E_CLUSTERFILE')).toBe(true);
      expect((error as Error).message).toBe('etc/x.yml.tmpl:3: there is no variable RegistryUrl');
      expect(isSlipwayError(error) && error.hint).toContain('did you mean RegistryURL?');
    }
  });

  it('refuse what is more than a value, and what never ends', () => {
    expect(() => render('{{ if .HostIP }}x{{ end }}')).toThrow(/x\.yml\.tmpl:1: cannot render \{\{ if \.HostIP \}\}/);
    expect(() => render('a\n{{ .HostIP')).toThrow(/x\.yml\.tmpl:2: "\{\{" is never closed/);
    expect(() => render('{{ .toString }}')).toThrow(/no variable toString/);
  });

  it('put values in as they are, whatever is in them', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, value) => {
        fc.pre(!before.includes('{{'));
        const text = `${before} {{ .V }}`;
        fc.pre(!before.endsWith('{'));
        expect(renderTemplate(text, { V: value }, 'f')).toBe(`${before} ${value}`);
      }),
    );
  });
});
