import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { exitProgram, qemuName } from '../../../src/build/run/exit-program.js';
import { processLimit } from '../../../src/build/sandbox/process-limit.js';
import { thisPlatform } from '../../../src/image/platform.js';

const dir = mkdtempSync(join(tmpdir(), 'slipway-exit-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** As binutils names the processors. */
const MACHINES = {
  amd64: 'Advanced Micro Devices X86-64',
  '386': 'Intel 80386',
  arm64: 'AArch64',
  arm: 'ARM',
  riscv64: 'RISC-V',
  ppc64le: 'PowerPC64',
  s390x: 'IBM S/390',
};

function fileOf(architecture: string): string {
  const file = join(dir, architecture);
  writeFileSync(file, exitProgram(architecture) ?? '', { mode: 0o755 });
  return file;
}

it('runs on this machine', () => {
  expect(spawnSync(fileOf(thisPlatform().architecture)).status).toBe(0);
});

it.skipIf(process.arch !== 'x64')('runs the 32-bit one here too', ({ skip }) => {
  const { status, stderr } = spawnSync('sh', ['-c', 'exec "$0"', fileOf('386')]);
  // some kernels run no 32-bit programs; that it is one is seen below
  skip(stderr.includes('Exec format error'), 'this kernel runs no 32-bit programs');
  expect(status).toBe(0);
});

it.skipIf(spawnSync('readelf', ['--version']).error !== undefined)('is a program for every processor', () => {
  for (const [architecture, machine] of Object.entries(MACHINES)) {
    const text = execFileSync('readelf', ['-hlW', fileOf(architecture)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    }).toString();
    expect(text).toMatch(new RegExp(`Machine: +${machine}`));
    expect(text).toMatch(/Type: +EXEC/);
    expect(text).toMatch(/LOAD +0x0+ /);
  }
});

it('knows no other processors', () => {
  expect(exitProgram('mips64le')).toBeUndefined();
  expect(qemuName('mips64le')).toBe('qemu-mips64le');
  expect(qemuName('arm64')).toBe('qemu-aarch64');
});

it.each([
  ['6.14.0', 8192],
  ['7.0', 8192],
  ['6.13.9-amd64', 0],
  ['5.15.0-100-generic', 0],
  ['10.1', 8192],
  ['what', 0],
])('limits processes where the limit is not that of the machine: Linux %s', (release, expected) => {
  expect(processLimit(release)).toBe(expected);
});
