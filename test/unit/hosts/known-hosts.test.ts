import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fingerprint, hostName, keyTypeOf, knownHostLine, parseKnownHosts } from '../../../src/hosts/known-hosts.js';

/** A public key blob of a type: the type as an SSH string, then anything. */
function blob(type: string, rest = 'key material'): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return Buffer.concat([length, Buffer.from(type), Buffer.from(rest)]);
}

const ed25519 = blob('ssh-ed25519');
const encoded = ed25519.toString('base64');

function matching(line: string, name: string): boolean {
  return parseKnownHosts(line, 'file').some((entry) => entry.matches(name));
}

describe('known_hosts', () => {
  it('knows a key as ssh-keygen shows it', () => {
    const key = Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl', 'base64');
    // github.com's published fingerprint
    expect(fingerprint(key)).toBe('SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
    expect(keyTypeOf(key)).toBe('ssh-ed25519');
    expect(keyTypeOf(Buffer.from('short'))).toBe('');
    expect(keyTypeOf(Buffer.alloc(0))).toBe('');
  });

  it('names a host with its port when it is not 22', () => {
    expect(hostName('10.0.0.1', 22)).toBe('10.0.0.1');
    expect(hostName('10.0.0.1', 2222)).toBe('[10.0.0.1]:2222');
    expect(hostName('fd00::1', 2222)).toBe('[fd00::1]:2222');
  });

  it('reads what it writes, for any address and key', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 1, max: 65535 }), fc.base64String(), (address, port, rest) => {
        const key = blob('ssh-ed25519', rest);
        const name = hostName(address, port);
        const [entry, ...more] = parseKnownHosts(`${knownHostLine(name, key)}\n`, 'file');
        expect(more).toEqual([]);
        expect(entry?.matches(name)).toBe(true);
        expect(entry?.key.equals(key)).toBe(true);
      }),
    );
  });

  it('matches lists, wildcards and negations as sshd(8) says', () => {
    expect(matching(`a.example,10.0.0.1 ssh-ed25519 ${encoded} comment`, '10.0.0.1')).toBe(true);
    expect(matching(`10.0.0.? ssh-ed25519 ${encoded}`, '10.0.0.7')).toBe(true);
    expect(matching(`10.0.0.? ssh-ed25519 ${encoded}`, '10.0.0.17')).toBe(false);
    expect(matching(`10.0.* ssh-ed25519 ${encoded}`, '10.0.3.1')).toBe(true);
    expect(matching(`10.0.0.1 ssh-ed25519 ${encoded}`, '10x0.0.1')).toBe(false);
    expect(matching(`*,!10.0.0.1 ssh-ed25519 ${encoded}`, '10.0.0.1')).toBe(false);
    expect(matching(`!10.0.0.1 ssh-ed25519 ${encoded}`, '10.0.0.2')).toBe(false);
    expect(matching(`[10.0.0.1]:2222 ssh-ed25519 ${encoded}`, '[10.0.0.1]:2222')).toBe(true);
    expect(matching(`10.0.0.1 ssh-ed25519 ${encoded}`, '[10.0.0.1]:2222')).toBe(false);
    expect(matching(`Host.Example ssh-ed25519 ${encoded}`, 'host.example')).toBe(true);
  });

  it('matches hashed names', () => {
    const salt = Buffer.from('0123456789abcdefghij');
    const hash = createHmac('sha1', salt).update('[10.0.0.1]:2222').digest('base64');
    const line = `|1|${salt.toString('base64')}|${hash} ssh-ed25519 ${encoded}`;
    expect(matching(line, '[10.0.0.1]:2222')).toBe(true);
    expect(matching(line, '10.0.0.1')).toBe(false);
    expect(matching(line.replace('|1|', '|2|'), '[10.0.0.1]:2222')).toBe(false);
  });

  it('knows revoked keys, passes over authorities, comments and what it cannot read, and counts lines', () => {
    const text = [
      '# comment',
      '',
      `@revoked * ssh-ed25519 ${encoded}`,
      `@cert-authority * ssh-ed25519 ${encoded}`,
      `10.0.0.1 ssh-rsa ${encoded}`,
      '10.0.0.1 ssh-ed25519',
      '10.0.0.1 2048 65537 1234',
      `10.0.0.1\tssh-ed25519  ${encoded}\r`,
      `cut in the midd`,
    ].join('\n');
    expect(parseKnownHosts(text, 'f').map(({ line, revoked, keyType }) => ({ line, revoked, keyType }))).toEqual([
      { line: 3, revoked: true, keyType: 'ssh-ed25519' },
      { line: 8, revoked: false, keyType: 'ssh-ed25519' },
    ]);
  });

  it('survives any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const entry of parseKnownHosts(`${text} ssh-ed25519 ${encoded}`, 'f')) entry.matches('10.0.0.1');
      }),
    );
  });
});
