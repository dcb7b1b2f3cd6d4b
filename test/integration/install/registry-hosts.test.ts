// What keeps several registries in step, and a host's way to one that answers, on this machine.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { connectHost } from '../../../src/hosts/connect.js';
import type { Host } from '../../../src/hosts/host.js';
import { digestOf } from '../../../src/image/digest.js';
import { findLacks, supply } from '../../../src/install/registry/even-out.js';
import { storageRoot } from '../../../src/install/registry/storage-listing.js';
import { WAY_SCRIPT } from '../../../src/install/registry/way-script.js';
import { hostPaths } from '../../../src/install/state/cluster-paths.js';
import { blobFile, layerLink, tagLink } from '../../../src/registry/distribution-paths.js';
import { tempDirectory } from '../../support/temp.js';

const exec = promisify(execFile);
const scratch = tempDirectory('slipway-registries-');
const here = connectHost('127.0.0.1');
afterAll(() => here.close());
let count = 0;

describe('registries that are kept in step', () => {
  const paths = hostPaths('/no-such-place', 'prod');

  /** A host of its own: what is at the place of the cluster is in another directory. */
  function hostAt(directory: string): Host {
    const own = (script: string): string => script.replaceAll(paths.base, directory);
    return { ...here, address: directory, run: (script, options) => here.run(own(script), options) };
  }
  const rootOf = ({ address }: Host): string => storageRoot({ rootfs: join(address, 'rootfs') });
  function put(host: Host, path: string, content: string, mtime = 1_700_000_000): void {
    const file = join(rootOf(host), path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    utimesSync(file, mtime, mtime);
  }
  const read = (host: Host, path: string): string => readFileSync(join(rootOf(host), path), 'utf8');

  let one: Host;
  let two: Host;
  beforeEach(() => {
    const place = join(scratch, String(count++));
    for (const name of ['one', 'two']) mkdirSync(join(place, name), { recursive: true });
    one = hostAt(join(place, 'one'));
    two = hostAt(join(place, 'two'));
  });
  async function evenOut(): Promise<void> {
    for (const lack of await findLacks([one, two], [], paths)) await supply(lack, paths);
  }

  it('get what the others have, verified, and the tag that was given last', async () => {
    const [layer, config] = ['layer', 'config'];
    put(one, blobFile(digestOf(layer)), layer);
    put(one, layerLink('library/web', digestOf(layer)), digestOf(layer));
    put(one, tagLink('library/web', '1'), digestOf('old'), 1_700_000_000);
    put(two, blobFile(digestOf(config)), config);
    put(two, tagLink('library/web', '1'), digestOf('new'), 1_700_000_001);
    await evenOut();
    for (const host of [one, two]) {
      expect(read(host, blobFile(digestOf(layer)))).toBe(layer);
      expect(read(host, blobFile(digestOf(config)))).toBe(config);
      expect(read(host, layerLink('library/web', digestOf(layer)))).toBe(digestOf(layer));
      expect(read(host, tagLink('library/web', '1'))).toBe(digestOf('new'));
    }
    expect(statSync(join(rootOf(one), tagLink('library/web', '1'))).mtimeMs).toBe(1_700_000_001_000);
    expect(await findLacks([one, two], [], paths)).toEqual([]);
    expect(existsSync(join(two.address, '.registry-incoming'))).toBe(false);
  });

  it('do not take what is damaged, and name the host that has it', async () => {
    put(one, blobFile(digestOf('whole')), 'damaged');
    const failure: unknown = await evenOut().catch((error: unknown) => error);
    expect(isSlipwayError(failure, 'E_DIGEST_MISMATCH')).toBe(true);
    expect(String(failure)).toContain(`the registry on ${one.address} has content that is not what its name says`);
    expect(existsSync(join(rootOf(two), blobFile(digestOf('whole'))))).toBe(false);
  });
});

describe('the way to the registry', () => {
  const script = join(scratch, 'way');
  writeFileSync(script, WAY_SCRIPT, { mode: 0o755 });

  async function listen(address: string, port = 0): Promise<{ readonly port: number; readonly server: Server }> {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(port, address, resolve));
    const at = server.address();
    return { port: typeof at === 'object' && at !== null ? at.port : 0, server };
  }
  const close = (server: Server): Promise<unknown> => new Promise((resolve) => server.close(resolve));

  it('leads to the first that answers, keeps what else is in the file, and goes back', async () => {
    const dir = join(scratch, String(count++));
    mkdirSync(dir);
    const [hosts, config] = [join(dir, 'hosts'), join(dir, 'registries')];
    writeFileSync(
      hosts,
      '127.0.0.1 localhost\n# BEGIN slipway registry\n10.9.9.9 old.hub\n# END slipway registry\n# end\n',
    );
    const look = async (): Promise<string> => {
      const { stdout } = await exec(script, ['once'], {
        env: { ...process.env, SLIPWAY_HOSTS_FILE: hosts, SLIPWAY_REGISTRIES_FILE: config },
      });
      return stdout;
    };
    const file = (address: string): string =>
      `127.0.0.1 localhost\n# BEGIN slipway registry\n${address} sea.hub\n# END slipway registry\n# end\n`;
    const first = await listen('127.0.0.1');
    const second = await listen('127.0.0.2', first.port);
    try {
      writeFileSync(config, `sea.hub ${first.port}\n127.0.0.1\n127.0.0.2\n`);
      await look();
      expect(readFileSync(hosts, 'utf8')).toBe(file('127.0.0.1'));
      await close(first.server);
      expect(await look()).toContain('the registry at 127.0.0.2 instead of 127.0.0.1');
      expect(readFileSync(hosts, 'utf8')).toBe(file('127.0.0.2'));
      expect(await look()).toBe('');
      // Somebody deleted the end of our block: the hosts behind it are theirs.
      const theirs = '10.7.7.7 historian\n# mine\n10.7.7.8 plc\n';
      const block = '# BEGIN slipway registry\n';
      writeFileSync(hosts, `${block}127.0.0.1 sea.hub\n${theirs}`);
      await look();
      expect(readFileSync(hosts, 'utf8')).toBe(`${block}127.0.0.2 sea.hub\n# END slipway registry\n${theirs}`);
    } finally {
      await close(second.server);
    }
    // None answers: it stays where it is; one that is not asked any more does not.
    writeFileSync(hosts, file('127.0.0.2'));
    await look();
    expect(readFileSync(hosts, 'utf8')).toBe(file('127.0.0.2'));
    writeFileSync(config, `sea.hub ${first.port}\n127.0.0.1\n`);
    await look();
    expect(readFileSync(hosts, 'utf8')).toBe(file('127.0.0.1'));
  });

  it('is a script that bash and shellcheck take', () => {
    execFileSync('bash', ['-n', script]);
    execFileSync('shellcheck', ['-s', 'bash', '--severity=warning', script], { stdio: 'pipe' });
  });
});
