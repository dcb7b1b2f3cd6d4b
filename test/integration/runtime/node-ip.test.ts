// The addresses of a node, asked of real network interfaces of this machine.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectHost } from '../../../src/hosts/connect.js';
import type { Host } from '../../../src/hosts/host.js';
import { nodeIps } from '../../../src/runtime/kubernetes/node-ip.js';

const local = connectHost('127.0.0.1');
const host = (address: string): Host =>
  ({ address, run: local.run.bind(local) }) satisfies Partial<Host> as unknown as Host;
const DEVICE = `slipip${process.pid % 10_000}`;
const ip = (command: string): void => void execFileSync('ip', command.split(' '));

beforeAll(() => {
  ip(`link add ${DEVICE}a type veth peer name ${DEVICE}b`);
  ip(`addr add 198.18.7.1/24 dev ${DEVICE}a`);
  ip(`addr add 198.18.8.1/24 dev ${DEVICE}b`);
  ip(`-6 addr add fd5c:98::1/64 dev ${DEVICE}a nodad`);
  for (const end of ['a', 'b']) ip(`link set ${DEVICE}${end} up`);
});
afterAll(async () => {
  ip(`link del ${DEVICE}a`);
  await local.close();
});

it('are one of each family, of the same interface', async () => {
  expect(await nodeIps(host('198.18.7.1'), true)).toEqual(['198.18.7.1', 'fd5c:98::1']);
  expect(await nodeIps(host('fd5c:98::1'), true)).toEqual(['fd5c:98::1', '198.18.7.1']);
  expect(await nodeIps(host('198.18.7.1'), false)).toEqual(['198.18.7.1']);
  for (const alone of ['198.18.8.1', '198.18.9.1'])
    await expect(nodeIps(host(alone), true), alone).rejects.toMatchObject({ code: 'E_PREFLIGHT' });
});
