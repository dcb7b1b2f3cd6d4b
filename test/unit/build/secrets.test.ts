import { describe, expect, it } from 'vitest';
import { parseSecretFlag } from '../../../src/build/run/mounts/secrets.js';

describe('--secret', () => {
  it.each([
    ['id=a,src=f', ['a', { kind: 'file', path: 'f' }]],
    ['ID=a,Source=f', ['a', { kind: 'file', path: 'f' }]],
    ['type=file,id=a,src=f', ['a', { kind: 'file', path: 'f' }]],
    ['id=a,env=V', ['a', { kind: 'env', name: 'V' }]],
    ['id=a,type=env', ['a', { kind: 'env', name: 'a' }]],
    ['id=a,type=env,src=V', ['a', { kind: 'env', name: 'V' }]],
    ['id=a', ['a', { kind: 'file', path: 'a' }]],
    ['id=SET', ['SET', { kind: 'env', name: 'SET' }]],
    ['id=SET,type=file', ['SET', { kind: 'file', path: 'SET' }]],
    ['id=a,"src=with, comma and ""quotes"""', ['a', { kind: 'file', path: 'with, comma and "quotes"' }]],
    ['id=a,src=b=c', ['a', { kind: 'file', path: 'b=c' }]],
  ])('%s', (text, expected) => {
    expect(parseSecretFlag(text, { SET: 'x' })).toEqual(expected);
  });

  it.each([
    '',
    'a',
    'id',
    'id=',
    'src=f',
    'id=a,id=b',
    'id=a,src=f,env=V',
    'id=a,mode=0400',
    'id=a,type=x',
    'id=a,',
    'id=a,type=file,env=V',
  ])('refuses %j', (text) => {
    expect(() => parseSecretFlag(text, {})).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});
