import { describe, expect } from 'vitest';
import { expectNothingStored, expectPulled, isBlob, lab, pullThrough, pushThrough } from './lab.js';
import { fault, refused, survived, times } from './table.js';

export function busy(): void {
  describe('a busy registry', () => {
    for (const [how, retryAfter] of [
      ['in seconds', () => '1'],
      ['as a date', () => new Date(Date.now() + 2000).toUTCString()],
    ] as const) {
      fault(`429 with Retry-After ${how}`, async () => {
        const { big } = lab();
        const { pulled, proxy } = await pullThrough((request) =>
          isBlob(request, big) && request.before === 0
            ? { respond: { status: 429, headers: { 'retry-after': retryAfter() } } }
            : undefined,
        );
        await expectPulled(pulled);
        const asked = proxy.seen('GET', new RegExp(big.digest));
        expect(asked).toHaveLength(2);
        const waited = (asked[1]?.at ?? 0) - (asked[0]?.at ?? 0);
        expect(waited).toBeGreaterThanOrEqual(950); // as long as it was asked to, not its own few milliseconds
        return survived(`waited as long as asked, then ${times(1, 'more request')}`);
      });
    }

    fault('429 that asks to wait an hour', async () => {
      const { pulled, proxy } = await pullThrough(() => ({
        respond: { status: 429, headers: { 'retry-after': '3600' } },
      }));
      await expect(pulled).rejects.toMatchObject({ code: 'E_REGISTRY', hint: expect.stringContaining('60m00s') });
      expect(proxy.requests).toHaveLength(1);
      return refused('E_REGISTRY at once, says how long to wait');
    });

    for (const status of [408, 429, 500, 502, 503, 504]) {
      fault(`${status} three times, then the answer`, async () => {
        const { pulled, proxy } = await pullThrough(({ before }) =>
          before < 3 ? { respond: { status, body: 'try again' } } : undefined,
        );
        await expectPulled(pulled);
        return survived(`${times(proxy.seen('HEAD', /manifests\/1$/).length)} for each thing`);
      });
    }

    fault('500 for ever', async () => {
      const { big } = lab();
      const body = '{"errors":[{"code":"UNKNOWN","message":"the disk is on fire"}]}';
      const { pulled, proxy, store } = await pullThrough((request) =>
        isBlob(request, big) ? { respond: { status: 500, body } } : undefined,
      );
      await expect(pulled).rejects.toMatchObject({
        code: 'E_REGISTRY',
        message: expect.stringContaining('the disk is on fire'),
      });
      expect(proxy.seen('GET', new RegExp(big.digest))).toHaveLength(5);
      await expectNothingStored(store);
      return refused('E_REGISTRY after 5 requests, with what the registry said');
    });

    fault('503 with Retry-After in the middle of an upload', async () => {
      const { big } = lab();
      let busy = false;
      const { pushed, proxy, repository } = await pushThrough(
        ({ method, headers }) => {
          if (method !== 'PATCH' || !headers['content-range']?.startsWith('600000-') || busy) return undefined;
          busy = true;
          return { respond: { status: 503, headers: { 'retry-after': '1' } } };
        },
        { chunkSize: 600_000 },
      );
      await pushed;
      expect(await repository.hasBlob(big)).toBe(true);
      const [first, second] = proxy
        .seen('PATCH', /uploads/)
        .filter(({ headers }) => headers['content-range']?.startsWith('600000-'));
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(950);
      return survived('waited as long as asked, asked how much is there, went on');
    });
  });
}
