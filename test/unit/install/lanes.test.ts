import { describe, expect, it } from 'vitest';
import { type Lane, Lanes } from '../../../src/install/files/lanes.js';

/** Takes a way, and tells at once whether there was one. */
async function tryTake(lanes: Lanes<string>, fromHere = false): Promise<Lane<string> | undefined> {
  let got: Lane<string> | undefined;
  void lanes.take(fromHere).then((lane) => {
    got = lane;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return got;
}

describe('ways for files to get to hosts', () => {
  it('begin here, and go by hosts that have them', async () => {
    const lanes = new Lanes<string>(1);
    const first = await tryTake(lanes);
    expect(first).toMatchObject({ from: undefined });
    const second = lanes.take();
    const third = lanes.take();
    lanes.add('a');
    expect(await second).toMatchObject({ from: 'a' });
    first?.end();
    expect(await third).toMatchObject({ from: undefined });
    const fourth = lanes.take();
    (await second).end();
    (await second).end();
    expect(await fourth).toMatchObject({ from: 'a' });
    expect(await tryTake(lanes)).toBeUndefined();
  });

  it('from here are waited for by those that need one, while others go past them', async () => {
    const lanes = new Lanes<string>(1);
    const first = await lanes.take();
    const here = lanes.take(true);
    lanes.add('a');
    expect(await tryTake(lanes)).toMatchObject({ from: 'a' });
    first.end();
    expect(await here).toMatchObject({ from: undefined });
  });

  it('are not taken again by a host from which nothing came twice', async () => {
    const lanes = new Lanes<string>(1);
    lanes.add('a');
    (await lanes.take()).end(true);
    const again = await lanes.take();
    expect(again.from).toBe('a');
    again.end(true);
    expect((await lanes.take()).from).toBeUndefined();
  });
});
