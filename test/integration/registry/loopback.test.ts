import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { LAUNCHER } from '../../support/slipway.js';
import { tagSmallImage } from './support/images.js';
import { must } from './support/programs.js';
import { testStore } from './support/server.js';

const FAR = fileURLToPath(new URL('support/far-registry.mjs', import.meta.url));
/** For documentation: nobody has it. */
const ADDRESS = '198.51.100.1';

/** What a command does at a registry that is not on this machine, and what of this machine was reached. */
async function atFarRegistry(trick: string, root: string, ...args: string[]) {
  const setUp = `ip link set lo up && ip address add ${ADDRESS}/32 dev lo && exec "$@"`;
  const command = [process.execPath, FAR, ADDRESS, trick, process.execPath, LAUNCHER, ...args, '--root', root];
  const printed = await must('unshare', ['--net', '--', 'sh', '-c', setUp, 'sh', ...command]);
  return JSON.parse(printed) as { code: number; said: string; reached: string[]; seen: string[] };
}

test.each(['127.0.0.1', 'localhost', '0.0.0.0', '[::ffff:127.0.0.1]', '2130706433'])(
  'a registry elsewhere cannot send us to %s of this machine',
  async (target) => {
    const store = await testStore();
    await tagSmallImage(store, 'x:1');
    const plain = ['--plain-http', '--progress', 'plain'];
    for (const [trick, args] of [
      ['redirect', ['pull', 'ADDRESS/x:1', ...plain]],
      ['token', ['pull', 'ADDRESS/x:1', ...plain]],
      ['upload', ['push', 'x:1', 'ADDRESS/x:1', ...plain]],
    ] as const) {
      const { code, said, reached, seen } = await atFarRegistry(`${trick} ${target}`, store.root, ...args);
      expect({ trick, code, reached }).toEqual({ trick, code: 1, reached: [] });
      expect(said).toMatch(/refused/);
      expect(seen.length).toBeGreaterThan(0);
    }
  },
);
