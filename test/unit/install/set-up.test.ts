import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { isRolling, type SetupScripts } from '../../../src/install/set-up.js';
import type { InstallWork } from '../../../src/install/work.js';

const wanted = digestOf('wanted');
const scripts: SetupScripts = { title: 'init.sh', inputs: () => wanted, run: async () => {}, note: async () => {} };
const host = { address: '10.0.0.2', setupDigest: '', env: {} };
const rolling = (setups: InstallWork['setups'], changing = false, setUpAgain = false): boolean =>
  isRolling({ setups, changing, setUpAgain }, scripts, host);
const setup = (inputs: string) => ({ inputs: digestOf(inputs), image: 'sha256:1', version: 'v1.20.2' });

describe('a host is set up one after the other', () => {
  it('when there is Kubernetes on it and it was set up otherwise, or does not say how', () => {
    expect(rolling(new Map([[host.address, setup('other')]]))).toBe(true);
    expect(rolling(new Map([[host.address, undefined]]))).toBe(true);
  });

  it('not when it is as wanted, or has no Kubernetes yet', () => {
    expect(rolling(new Map([[host.address, setup('wanted')]]))).toBe(false);
    expect(rolling(new Map([['10.0.0.3', setup('other')]]))).toBe(false);
    expect(rolling(new Map())).toBe(false);
  });

  it('when it is to be set up again, and is a node', () => {
    expect(rolling(new Map([[host.address, setup('wanted')]]), false, true)).toBe(true);
    expect(rolling(new Map(), false, true)).toBe(false);
  });

  it('while its cluster is on the way to another image, whatever it says', () => {
    expect(rolling(new Map([[host.address, setup('wanted')]]), true)).toBe(true);
    expect(rolling(new Map(), true)).toBe(false);
  });
});
