import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/base/errors.js';
import type { Host } from '../../../src/hosts/host.js';
import { labelLines, onHosts, tryOnHosts } from '../../../src/hosts/host-group.js';
import { Slots } from '../../../src/hosts/slots.js';

const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => ({ address }) as Host);

describe('a group of hosts', () => {
  it('gives results in the order of the hosts', async () => {
    expect(await onHosts(hosts, async ({ address }, index) => `${address} ${index}`)).toEqual([
      '10.0.0.1 0',
      '10.0.0.2 1',
      '10.0.0.3 2',
    ]);
  });

  it('works on all hosts though one fails, and lists every failure', async () => {
    const seen: string[] = [];
    const work = async ({ address }: Host): Promise<void> => {
      seen.push(address);
      if (address === '10.0.0.1')
        throw new SlipwayError('E_HOST_COMMAND', `host ${address}: x failed:\n  last line`, { hint: 'look' });
      if (address === '10.0.0.2') throw new SlipwayError('E_HOST_COMMAND', 'y failed', { hint: 'look' });
    };
    await expect(onHosts(hosts, work, { concurrency: 1 })).rejects.toMatchObject({
      code: 'E_HOST_COMMAND',
      message: '2 of 3 hosts failed:\n- host 10.0.0.1: x failed:\n    last line\n- host 10.0.0.2: y failed',
      hint: 'look',
    });
    expect(seen).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    const { results, failures } = await tryOnHosts(hosts, async (host) => {
      await work(host);
      return 'done';
    });
    expect([...results]).toEqual([['10.0.0.3', 'done']]);
    expect(failures.map(({ address }) => address)).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('throws the one failure as it is, and begins nothing once interrupted', async () => {
    const failure = new SlipwayError('E_HOST_KEY', 'host 10.0.0.2: changed');
    const work = async ({ address }: Host): Promise<void> => {
      if (address === '10.0.0.2') throw failure;
    };
    await expect(onHosts(hosts, work)).rejects.toBe(failure);
    const abort = new AbortController();
    const seen: string[] = [];
    const begun = onHosts(
      hosts,
      async ({ address }) => {
        seen.push(address);
        abort.abort();
      },
      { concurrency: 1, signal: abort.signal },
    );
    await expect(begun).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
    expect(seen).toEqual(['10.0.0.1']);
  });

  it('labels whole lines', () => {
    const lines: string[] = [];
    const label = labelLines('10.0.0.1', (line) => lines.push(line));
    for (const piece of ['a', 'b\nc\r\n', '\n', 'd']) label.push(piece);
    label.end();
    label.end();
    expect(lines).toEqual(['10.0.0.1 | ab', '10.0.0.1 | c', '10.0.0.1 | ', '10.0.0.1 | d']);
  });
});

describe('slots', () => {
  it('are taken in order, and left when interrupted', async () => {
    const slots = new Slots(2);
    const order: number[] = [];
    await slots.take();
    await slots.take();
    const abort = new AbortController();
    const third = slots.take(abort.signal);
    const fourth = slots.take().then(() => order.push(4));
    const fifth = slots.take().then(() => order.push(5));
    abort.abort(new Error('stop'));
    await expect(third).rejects.toThrow('stop');
    expect(order).toEqual([]);
    slots.free();
    await fourth;
    expect(order).toEqual([4]);
    slots.free();
    await fifth;
    expect(order).toEqual([4, 5]);
  });
});
