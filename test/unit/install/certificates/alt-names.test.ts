import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../../src/base/errors.js';
import { readAltNames } from '../../../../src/install/certificates/alt-names.js';

describe('names for a certificate', () => {
  it('are host names and addresses, each once, as certificates write them', () => {
    expect(readAltNames('API.example.com, 10.0.0.7,,fd00:0::7 api.example.com *.plant.example')).toEqual([
      'api.example.com',
      '10.0.0.7',
      'fd00::7',
      '*.plant.example',
    ]);
  });

  it.each([
    '',
    ' , ',
    '10.0.0.300',
    'https://api',
    'a_b',
    'api..example',
    '-a',
    'a.*.b',
    'x'.repeat(64),
    '10.0.0.0/24',
  ])('are not %j', (text) => {
    expect(() => readAltNames(text)).toThrow(expect.toSatisfy((error) => isSlipwayError(error, 'E_USAGE')));
  });
});
