import { describe, expect, test } from 'vitest';
import { clientAt } from '../../../src/registry/server/client-address.js';
import { refuseOtherNames } from '../../../src/registry/server/own-names.js';
import { Turns } from '../../../src/registry/server/turns.js';

describe('who a request comes from', () => {
  test.each([
    ['10.0.0.7', '10.0.0.7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['', ''],
  ])('%s is %s', (address, client) => {
    expect(clientAt(address)).toBe(client);
  });
});

describe('names of a server', () => {
  const own = { address: '127.0.0.1:5000', names: ['registry.lan'], certificate: undefined };

  test.each([
    undefined,
    'localhost:5000',
    'LOCALHOST.',
    'a.localhost',
    '127.0.0.1:5000',
    '10.1.2.3',
    '[::1]:5000',
    'Registry.LAN:5000',
  ])('%s is its own', (header) => {
    refuseOtherNames(header, own);
  });

  test.each(['evil.example', 'evil.example:5000', 'localhost.evil.example', 'registry.lan.evil.example', 'x', ''])(
    '%j is not',
    (header) => {
      expect(() => refuseOtherNames(header, own)).toThrowError(
        expect.objectContaining({ status: 421, message: expect.stringContaining('--name') }),
      );
      // Who listens for others is known by names that it does not know.
      refuseOtherNames(header, { ...own, address: '0.0.0.0:5000' });
    },
  );
});

describe('turns', () => {
  const gate = () => {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => (open = resolve));
    return { open, opened };
  };

  test('go round among those who wait, one at a time', async () => {
    const turns = new Turns({ all: 10, each: 5 });
    const { open, opened } = gate();
    const order: string[] = [];
    let running = 0;
    const ask = (client: string, name: string): Promise<void> =>
      turns.take(client, async () => {
        expect(++running).toBe(1);
        await (name === 'first' ? opened : undefined);
        order.push(name);
        running--;
      });
    const asked = [ask('a', 'first'), ask('a', 'a1'), ask('a', 'a2'), ask('a', 'a3'), ask('b', 'b1'), ask('c', 'c1')];
    open();
    await Promise.all(asked);
    expect(order).toEqual(['first', 'a1', 'b1', 'c1', 'a2', 'a3']);
    await ask('d', 'd1');
    expect(order.at(-1)).toBe('d1');
  });

  test('are bounded, of each and of all; who is refused takes nobody`s place', async () => {
    const turns = new Turns({ all: 3, each: 2 });
    const { open, opened } = gate();
    const held = turns.take('a', () => opened);
    const waiting = [turns.take('a', async () => 1), turns.take('a', async () => 2)];
    const refused = { status: 429, headers: { 'retry-after': expect.any(String) } };
    await expect(turns.take('a', async () => 3)).rejects.toMatchObject(refused);
    waiting.push(turns.take('b', async () => 4));
    await expect(turns.take('c', async () => 5)).rejects.toMatchObject(refused);
    open();
    await held;
    expect(await Promise.all(waiting)).toEqual([1, 2, 4]);
    expect(await turns.take('c', async () => 5)).toBe(5);
  });

  test('work that fails does not stop them', async () => {
    const turns = new Turns({ all: 3, each: 2 });
    const failing = turns.take('a', () => Promise.reject(new Error('no')));
    const next = turns.take('b', async () => 'done');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('done');
  });
});
