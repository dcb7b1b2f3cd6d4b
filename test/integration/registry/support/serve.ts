import { expect, onTestFinished } from 'vitest';
import { startSlipway } from '../../../support/slipway.js';
import { testDir } from './server.js';

/** `slipway registry serve` as a process of its own, ended with the test. */
export async function serve(args: readonly string[] = [], root?: string) {
  const store = root ?? (await testDir());
  const started = startSlipway(['registry', 'serve', '--listen', '127.0.0.1:0', ...args], { root: store });
  onTestFinished(async () => {
    started.kill('SIGKILL');
    await started.ended;
  });
  await expect.poll(() => started.output(), { timeout: 60_000 }).toMatch(/^Serving /m);
  const address = /^Serving .* at (\S+)$/m.exec(started.output())?.[1] ?? '';
  return { ...started, address, root: store };
}
