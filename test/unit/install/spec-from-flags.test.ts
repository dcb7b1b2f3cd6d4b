import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { redact } from '../../../src/base/redact.js';
import { mastersOf, workersOf } from '../../../src/install/spec/cluster-spec.js';
import { ipFromNumber, ipToNumber, parseIpList } from '../../../src/install/spec/ip-list.js';
import { type RunFlags, specFromFlags } from '../../../src/install/spec/spec-from-flags.js';

const run = (flags: Partial<RunFlags>) => specFromFlags({ image: 'k8s:v1.20.2', masters: '10.0.0.2', ...flags });

function mistakes(flags: Partial<RunFlags>): string {
  try {
    run(flags);
  } catch (error) {
    if (isSlipwayError(error, 'E_USAGE')) return `${error.message}\n${error.hint}`;
    throw error;
  }
  return 'no mistake';
}

describe('the hint', () => {
  it.each([
    [{ masters: '10.0.0' }, 'hosts are given like --masters'],
    [{ cluster: 'Bad_Name' }, 'docs/commands.md'],
    [{ port: 0, env: ['A'] }, 'docs/commands.md'],
    [{ port: 0, nodes: '10.0.0.2' }, 'hosts are given like --masters'],
  ])('of %j is about what is wrong', (flags, hint) => {
    expect(mistakes(flags).split('\n').at(-1)).toContain(hint);
  });
});

describe('IP lists', () => {
  it('are separated by commas or blanks, with ranges', () => {
    expect(parseIpList('10.0.0.2, 10.0.0.9 10.0.0.254-10.0.1.1')).toEqual({
      addresses: ['10.0.0.2', '10.0.0.9', '10.0.0.254', '10.0.0.255', '10.0.1.0', '10.0.1.1'],
      mistakes: [],
    });
    expect(parseIpList('')).toEqual({ addresses: [], mistakes: [] });
  });

  it('may be IPv6, in any form', () => {
    expect(parseIpList('FD00:0::2,fd00::fffe-fd00::1:1').addresses).toEqual([
      'fd00::2',
      'fd00::fffe',
      'fd00::ffff',
      'fd00::1:0',
      'fd00::1:1',
    ]);
  });

  it.each([
    ['10.0.0', '"10.0.0" is not an IP address'],
    ['10.0.0.256', '"10.0.0.256" is not an IP address'],
    ['10.0.0.1-7', 'is not a range of IP addresses'],
    ['node-1.example', '"node-1.example" is not an IP address; hosts are given by their addresses, not by names'],
    ['10.0.0.5-10.0.0.2', 'the range 10.0.0.5-10.0.0.2 ends before it begins'],
    ['10.0.0.0-10.9.0.0', 'the most is 1000'],
    ['10.0.0.2-fd00::3', 'is not a range of IP addresses'],
    ['10.0.0.2:22', 'the port of SSH is given with --port'],
    ['localhost', '"localhost" is not an IP address'],
    ['fe80::1%eth0', '"fe80::1%eth0" is not an IP address'],
  ])('%s is a mistake', (text, expected) => {
    expect(parseIpList(text).mistakes.join()).toContain(expected);
  });

  it('numbers and addresses are each other’s inverse', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const number = ipToNumber(address);
        expect(number).toBeDefined();
        if (number !== undefined) expect(ipToNumber(ipFromNumber(number.value, number.bits))).toEqual(number);
      }),
    );
    fc.assert(fc.property(fc.ipV4(), (address) => ipFromNumber(ipToNumber(address)?.value ?? 0n, 32) === address));
  });
});

describe('the flags of run', () => {
  it('describe a cluster', () => {
    const spec = run({
      masters: '10.0.0.2',
      nodes: '10.0.0.5-10.0.0.6',
      user: 'admin',
      port: 2222,
      privateKey: '/root/.ssh/id',
      env: ['A=1', 'B=x=y', 'C='],
      cmds: ['kubectl apply -f a.yaml'],
      cluster: 'prod',
    });
    expect(spec).toMatchObject({
      name: 'prod',
      image: 'k8s:v1.20.2',
      env: { A: '1', B: 'x=y', C: '' },
      cmds: ['kubectl apply -f a.yaml'],
      registry: { domain: 'sea.hub', port: 5000 },
      dataRoot: '/var/lib/slipway',
    });
    expect(mastersOf(spec).map(({ address }) => address)).toEqual(['10.0.0.2']);
    expect(workersOf(spec).map(({ address }) => address)).toEqual(['10.0.0.5', '10.0.0.6']);
    expect(spec.hosts[0]?.ssh).toEqual({ user: 'admin', port: 2222, privateKey: '/root/.ssh/id' });
  });

  it('have defaults: root, port 22, the name my-cluster, what the image runs', () => {
    const spec = run({});
    expect(spec).toMatchObject({ name: 'my-cluster', hosts: [{ ssh: { user: 'root', port: 22 } }] });
    expect(spec).not.toHaveProperty('cmds');
  });

  it('never show the password', () => {
    run({ password: 'opensesame' });
    expect(redact('logged in with opensesame')).toBe('logged in with ***');
  });

  it('tell all mistakes at once, with what to do', () => {
    const text = mistakes({
      masters: '10.0.0.2,10.0.0.2,10.0.0.3',
      nodes: '10.0.0.3,nonsense',
      env: ['9=x', 'NOVALUE'],
      cluster: 'My_Cluster',
      port: 70000,
    });
    for (const expected of [
      '--masters: 10.0.0.2 is given twice',
      '10.0.0.3 is given as a master and as a node',
      '--nodes: "nonsense" is not an IP address',
      '-e: "9" is not a name of a variable',
      '-e "NOVALUE": a value is missing; write -e NOVALUE=VALUE',
      '--cluster "My_Cluster"',
      '--port 70000 is not a port',
      'hosts are given like --masters 10.0.0.2,10.0.0.3',
    ]) {
      expect(text).toContain(expected);
    }
  });

  it('take localhost for the address of this machine in its network', () => {
    const spec = specFromFlags({ image: 'k8s:v1', masters: 'localhost' }, () => '192.0.2.7');
    expect(spec.hosts[0]?.address).toBe('192.0.2.7');
    expect(() =>
      specFromFlags({ image: 'k8s:v1', masters: '127.0.0.1', nodes: '192.0.2.7' }, () => '192.0.2.7'),
    ).toThrow(/192\.0\.2\.7 is given as a master and as a node/);
    expect(specFromFlags({ image: 'k8s:v1', masters: '127.0.0.1' }, () => undefined).hosts[0]?.address).toBe(
      '127.0.0.1',
    );
  });

  it('need a master', () => {
    expect(mistakes({ masters: '', nodes: '10.0.0.3' })).toContain('a cluster needs at least one master');
  });

  it('cannot name a cluster as the store names its own directory', () => {
    expect(mistakes({ cluster: 'overlay2' })).toContain('this name is taken by the store');
  });
});
