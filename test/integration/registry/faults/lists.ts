import { describe, expect } from 'vitest';
import { digestOf } from '../../../../src/image/digest.js';
import { Repository } from '../../../../src/registry/client.js';
import { faultProxy } from '../support/fault-proxy.js';
import { RecordingReporter } from '../support/reporter.js';
import { ANNA, expectPulled, lab, pullThrough, QUICK, type Rule } from './lab.js';
import { fault, refused, survived, times } from './table.js';

export function lists(): void {
  describe('lists', () => {
    fault('a tag list of three pages, one of them null', async () => {
      const proxy = await registryThat(({ path }) => {
        const page = Number(/page=(\d)/.exec(path)?.[1] ?? 1);
        const link = page < 3 ? { link: `</v2/x/tags/list?page=${page + 1}>; rel="next"` } : {};
        return json({ name: 'x', tags: page === 2 ? null : [`t${page}`] }, link);
      });
      expect(await new Repository(proxy.address, 'x').listTags()).toEqual(['t1', 't3']);
      return survived(`joined them, ${times(proxy.requests.length)}`);
    });

    fault('a next page on another host', async () => {
      const elsewhere = await registryThat(() => json({ tags: ['stolen'] }));
      const proxy = await registryThat(({ path, headers }) => {
        if (headers.authorization === undefined)
          return { respond: { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } } };
        if (path.includes('page=2')) return json({ tags: ['two'] });
        return json({ tags: ['one'] }, { link: `<http://${elsewhere.address}/v2/x/tags/list?page=2>; rel="next"` });
      });
      const repository = new Repository(proxy.address, 'x', { credential: ANNA });
      expect(await repository.listTags()).toEqual(['one', 'two']);
      expect(elsewhere.requests).toEqual([]);
      return survived('asked the registry itself for that path');
    });

    fault('pages in a circle', async () => {
      const proxy = await registryThat(() => json({ tags: ['t'] }, { link: '</v2/x/tags/list?page=2>; rel=next' }));
      await expect(new Repository(proxy.address, 'x').listTags()).rejects.toMatchObject({
        code: 'E_REGISTRY',
        message: expect.stringContaining('no end'),
      });
      return refused(`E_REGISTRY after ${times(proxy.requests.length)}`);
    });

    fault('pages without end', async () => {
      const tags = Array.from({ length: 70_000 }, (_, index) => `${'t'.repeat(100)}${index}`);
      let page = 0;
      const proxy = await registryThat(() => json({ tags }, { link: `</v2/x/tags/list?page=${++page}>; rel="next"` }));
      await expect(new Repository(proxy.address, 'x').listTags()).rejects.toMatchObject({
        code: 'E_REGISTRY',
        message: expect.stringContaining('longer than'),
      });
      return refused('E_REGISTRY after 64 MiB');
    });

    fault('a list that is no JSON', async () => {
      const proxy = await registryThat(() => ({ respond: { status: 200, body: '<html>hello</html>' } }));
      await expect(new Repository(proxy.address, 'x').listTags()).rejects.toMatchObject({
        code: 'E_REGISTRY',
        hint: 'is there a registry at this address?',
      });
      return refused('E_REGISTRY');
    });

    fault('a list of something else', async () => {
      const proxy = await registryThat(() => json({ tags: [{ name: 'v1' }] }));
      await expect(new Repository(proxy.address, 'x').listTags()).rejects.toMatchObject({
        code: 'E_REGISTRY',
        message: expect.stringContaining('not what the specification says'),
      });
      return refused('E_REGISTRY');
    });

    fault('a referrers list on a registry without the API', async () => {
      const { address } = lab().registry;
      expect(await new Repository(address, 'x').referrers(digestOf('nobody'))).toEqual([]);
      return survived('looked for the fallback tag');
    });
  });

  describe('what a registry wants to say to people', () => {
    fault('a warning (299) with every answer', async () => {
      const reporter = new RecordingReporter();
      const { pulled, proxy } = await pullThrough(
        () => ({ headers: () => ({ warning: '299 - "this registry moves \\"soon\\""' }) }),
        { ...QUICK, reporter },
      );
      await expectPulled(pulled);
      const other = new Repository(proxy.address, 'other', { ...QUICK, reporter });
      await expect(other.resolve('1')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
      expect(reporter.warnings).toEqual([`${proxy.address} says: this registry moves "soon"`]);
      return survived('said it once for the whole command');
    });

    fault('a new warning with every answer', async () => {
      const reporter = new RecordingReporter();
      let count = 0;
      const proxy = await registryThat(() => json({ tags: ['t'] }, { warning: `299 - "number ${count++}"` }));
      const repository = new Repository(proxy.address, 'x', { reporter });
      for (let round = 0; round < 30; round++) await repository.listTags();
      expect(reporter.warnings).toHaveLength(20);
      return survived('said twenty');
    });
  });
}

function registryThat(answer: Rule): ReturnType<typeof faultProxy> {
  return faultProxy(lab().registry.address, answer);
}

function json(body: unknown, headers: Readonly<Record<string, string>> = {}): ReturnType<Rule> {
  return { respond: { status: 200, headers, body: JSON.stringify(body) } };
}
