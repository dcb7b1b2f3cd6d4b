import { describe, expect, it } from 'vitest';
import { readHostAliases } from '../../../src/install/clusterfile/host-aliases.js';
import type { ClusterSpec } from '../../../src/install/spec/cluster-spec.js';

const IN_CLUSTER: ClusterSpec['registry'] = { domain: 'hub.plant', port: 5000 };

/** The mistakes of aliases with these names, each with its place. */
function mistakesOf(hostnames: readonly string[], registry = IN_CLUSTER): readonly string[] {
  const mistakes: string[] = [];
  readHostAliases([{ ip: '10.0.0.9', hostnames: [...hostnames] }], registry, (path, why) =>
    mistakes.push(`${path.slice(2).join('.')}: ${why}`),
  );
  return mistakes;
}

describe('host aliases', () => {
  it('are lines for /etc/hosts', () => {
    expect(mistakesOf(['nas', 'nas.plant', 'sea.hub'])).toEqual([]);
    const aliases = [{ ip: '10.0.0.9', hostnames: ['nas', 'nas.plant'] }];
    expect(readHostAliases(aliases, IN_CLUSTER, () => undefined)).toEqual([
      { address: '10.0.0.9', names: ['nas', 'nas.plant'] },
    ]);
    expect(readHostAliases(undefined, IN_CLUSTER, () => undefined)).toEqual([]);
  });

  it.each([
    ['localhost', /^0\.hostnames\.1: LOCALHOST is every host itself: leave it out$/],
    ['hub.plant', /^0\.hostnames\.1: HUB\.PLANT is the registry of the cluster/],
    ['apiserver.cluster.local', /^0\.hostnames\.1: APISERVER\.CLUSTER\.LOCAL is the name of the API server/],
  ])('that claim %s are refused, however it is written', (name, mistake) => {
    expect(mistakesOf(['nas', name.toUpperCase()])).toEqual([expect.stringMatching(mistake)]);
  });

  it('say where a registry outside of the cluster is', () => {
    expect(mistakesOf(['hub.plant'], { ...IN_CLUSTER, external: true })).toEqual([]);
  });
});
