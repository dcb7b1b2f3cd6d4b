import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withHostsBlock } from '../../../src/runtime/etc-hosts.js';

const API = [{ address: '10.0.0.2', names: ['apiserver.cluster.local'] }];

describe('our block of /etc/hosts', () => {
  it('comes at the end, and what is there stays', () => {
    expect(withHostsBlock('127.0.0.1 localhost\n', 'apiserver', API)).toBe(
      '127.0.0.1 localhost\n# BEGIN slipway apiserver\n10.0.0.2 apiserver.cluster.local\n# END slipway apiserver\n',
    );
  });

  it('is replaced, and one of another name is not', () => {
    const first = withHostsBlock('', 'registry', [{ address: '10.0.0.9', names: ['sea.hub', 'hub'] }]);
    const both = withHostsBlock(withHostsBlock(first, 'apiserver', API), 'apiserver', [
      { address: '10.0.0.3', names: ['apiserver.cluster.local'] },
    ]);
    expect(both).toContain('10.0.0.9 sea.hub hub');
    expect(both).toContain('10.0.0.3 apiserver.cluster.local');
    expect(both).not.toContain('10.0.0.2');
  });

  it('stays where it is when it changes, so that two blocks do not change places for ever', () => {
    const both = withHostsBlock(withHostsBlock('', 'registry', API), 'apiserver', API);
    expect(withHostsBlock(both, 'registry', API)).toBe(both);
    const changed = withHostsBlock(both, 'registry', [{ address: '10.9.9.9', names: ['sea.hub'] }]);
    expect(changed.indexOf('sea.hub')).toBeLessThan(changed.indexOf('apiserver'));
  });

  it('whose end somebody deleted does not swallow comments and blocks behind it', () => {
    const broken =
      '# BEGIN slipway apiserver\n10.0.0.2 apiserver.cluster.local\n# mine\n# BEGIN slipway registry\n# END slipway registry\n';
    const mended = withHostsBlock(broken, 'apiserver', []);
    expect(mended).toContain('# mine');
    expect(mended).toContain('# BEGIN slipway registry');
  });

  it('whose end somebody deleted does not swallow the hosts behind it', () => {
    const broken = '# BEGIN slipway apiserver\n10.0.0.2 apiserver.cluster.local\n10.7.7.7 historian\n10.7.7.8 plc\n';
    expect(withHostsBlock(broken, 'apiserver', [])).toBe('10.7.7.7 historian\n10.7.7.8 plc\n');
    const mended = withHostsBlock(broken, 'apiserver', API);
    expect(mended).toBe(
      '# BEGIN slipway apiserver\n10.0.0.2 apiserver.cluster.local\n# END slipway apiserver\n10.7.7.7 historian\n10.7.7.8 plc\n',
    );
    expect(withHostsBlock(`${broken}# mine\n`, 'apiserver', [])).toContain('10.7.7.7 historian');
  });

  it('can be set twice and taken away without a trace', () => {
    const line = fc.stringMatching(/^[a-z0-9. #]{0,20}$/);
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.length === 0 ? '' : `${lines.join('\n')}\n`;
        const set = withHostsBlock(text, 'apiserver', API);
        expect(withHostsBlock(set, 'apiserver', API)).toBe(set);
        expect(withHostsBlock(set, 'apiserver', [])).toBe(text);
      }),
    );
  });
});
