import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../../src/base/errors.js';
import { parseAppSource } from '../../../../src/build/apps/source.js';

describe('a source of APP', () => {
  it.each([
    ['local://web', { kind: 'local', path: 'web' }],
    ['LOCAL://./a b/*.yaml', { kind: 'local', path: './a b/*.yaml' }],
    ['web/a.yaml', { kind: 'local', path: 'web/a.yaml' }],
    ['https://example.com/a.yaml?x=1', { kind: 'http', url: 'https://example.com/a.yaml?x=1' }],
    ['oci://registry.example.com/charts/web:1.2.3', { kind: 'oci', name: 'registry.example.com/charts/web:1.2.3' }],
    [
      'helm://charts.example.com/stable/web:1.2.3',
      { kind: 'helm', repository: { url: 'https://charts.example.com/stable' }, chart: 'web', version: '1.2.3' },
    ],
    [
      'helm://127.0.0.1:8080/web',
      { kind: 'helm', repository: { url: 'http://127.0.0.1:8080' }, chart: 'web', version: undefined },
    ],
    ['helm://bitnami/web:^1.2', { kind: 'helm', repository: { name: 'bitnami' }, chart: 'web', version: '^1.2' }],
  ])('%s', (text, expected) => {
    expect(parseAppSource(text)).toEqual(expected);
  });

  it.each([
    ['ftp://x/y', /ftp:\/\/ is not known/],
    ['local://', /path is missing/],
    ['oci://', /name is missing/],
    ['https://', /no URL/],
    ['helm://web', /repository and chart/],
    ['helm://a/b/web', /neither a host nor the name/],
    ['helm://-x/web', /neither a host nor the name/],
    ['helm://example.com/--post-renderer=x', /repository and chart/],
    ['helm://example.com/web:--devel', /not a version/],
    ['helm://user@example.com/web', /not a host/],
  ])('%s is refused', (text, message) => {
    try {
      parseAppSource(text);
      expect.unreachable();
    } catch (error) {
      expect(isSlipwayError(error, 'E_USAGE')).toBe(true);
      expect((error as Error).message).toMatch(message);
    }
  });
});
