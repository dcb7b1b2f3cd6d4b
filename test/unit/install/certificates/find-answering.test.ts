import { describe, expect, it } from 'vitest';
import { type AnsweringQuestion, findAnswering } from '../../../../src/install/certificates/find-answering.js';
import { stubHost } from '../../../support/stub-host.js';

const masters = ['10.0.0.2', '10.0.0.3'].map((address) => stubHost(address, () => undefined));
const [first] = masters;

/** `stopped`: the masters whose service does not run. `answers`: at which question one answers; 0: never. */
function find(stopped: readonly string[], answers: number, event?: 'started' | 'failed' | 'done') {
  let asked = 0;
  const question: AnsweringQuestion = {
    masters,
    driver: {
      wholeMasters: async (all) => all,
      stopped: async ({ address }) => stopped.includes(address),
    },
    liveMaster: async () => (++asked === answers ? first : undefined),
    done: new Map(event === undefined ? [] : [['alt-names@10.0.0.3', { event } as never]]),
    signal: new AbortController().signal,
    timeoutMs: 3000,
  };
  return findAnswering(question);
}

describe('a cluster of which no API server answers is given names', () => {
  it('when its one stopped master is started by that', async () => {
    expect(await find(['10.0.0.2'], 0)).toEqual({ live: undefined, starts: true });
  });

  it('when the same command was killed, and what it had restarted comes up', async () => {
    expect(await find([], 2, 'started')).toEqual({ live: first, starts: false });
  });

  it('not when it does not come up, nobody was killed, or all were stopped', async () => {
    const none = { live: undefined, starts: false };
    expect(await find([], 2)).toEqual(none);
    expect(await find([], 2, 'failed')).toEqual(none);
    expect(await find([], 0, 'started')).toEqual(none);
    expect(await find(['10.0.0.2', '10.0.0.3'], 0)).toEqual(none);
  });
});
