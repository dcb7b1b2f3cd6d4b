import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seccompProgram } from '../../../src/base/seccomp-filter.js';
import { DENIED_CALLS, SECCOMP_ARCHITECTURES } from '../../../src/base/seccomp-profile.js';

const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const ENOSYS = 38;

/** What the kernel would answer: an interpreter of the classic BPF that the program uses (linux/filter.h). */
function answer(program: Buffer, auditArch: number, call: number, args: readonly number[] = []): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call, 0);
  data.writeUInt32LE(auditArch, 4);
  args.forEach((value, index) => {
    data.writeBigUInt64LE(BigInt(value), 16 + 8 * index);
  });
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const code = program.readUInt16LE(at * 8);
    const value = program.readUInt32LE(at * 8 + 4);
    const skip = (condition: boolean): number => program.readUInt8(at * 8 + (condition ? 2 : 3));
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (code === 0x54) accumulator = (accumulator & value) >>> 0;
    else if (code === 0x15) at += skip(accumulator === value);
    else if (code === 0x25) at += skip(accumulator > value);
    else throw new Error(`unknown instruction ${code}`);
  }
}

const errno = (number: number): number => 0x00050000 | number;

describe.each(Object.entries(SECCOMP_ARCHITECTURES))('the seccomp program for %s', (arch, architecture) => {
  const program = seccompProgram(arch);
  const run = (call: number, args: readonly number[] = []): number =>
    answer(program, architecture.auditArch, call, args);
  const denied = new Map<number, number>();
  const conditional = new Set<number>();
  for (const { names, errno: refusal, when } of DENIED_CALLS)
    for (const name of names) {
      const number = architecture.numbers[name];
      if (number === undefined) continue;
      if (when === undefined) denied.set(number, refusal);
      else conditional.add(number);
    }

  it('denies every call of the list', () => {
    expect(denied.size).toBeGreaterThan(40);
    for (const [number, refusal] of denied) expect(run(number)).toBe(errno(refusal));
  });

  it('allows every other call that it knows of, and answers ENOSYS to the rest', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(600), (large, small) => {
        for (const call of [large, small]) {
          if (call > architecture.lastCall) expect(run(call)).toBe(errno(ENOSYS));
          else if (!denied.has(call) && !conditional.has(call)) expect(run(call)).toBe(ALLOW);
        }
      }),
    );
  });

  it('looks at arguments', () => {
    const { clone = -1, socket = -1, ioctl = -1 } = architecture.numbers;
    const SIGCHLD = 17;
    expect(run(clone, [SIGCHLD])).toBe(ALLOW);
    expect(run(clone, [0x003d0f00])).toBe(ALLOW); // a thread
    expect(run(clone, [0x10000000 | SIGCHLD])).toBe(errno(1));
    expect(run(clone, [0x20000 | SIGCHLD])).toBe(errno(1));
    expect(run(socket, [1, 1, 0])).toBe(ALLOW);
    expect(run(socket, [40, 1, 0])).toBe(errno(97));
    expect(run(socket, [38, 5, 0])).toBe(errno(97));
    expect(run(ioctl, [0, 0x5401])).toBe(ALLOW);
    expect(run(ioctl, [0, 0x5412])).toBe(errno(1));
    // The kernel looks at the lower half only.
    expect(run(ioctl, [0, 0x1_0000_5412])).toBe(errno(1));
  });

  it('kills programs of another architecture', () => {
    expect(answer(program, 0x40000003, 1)).toBe(KILL_PROCESS);
  });
});

describe('the seccomp program of an architecture without a table', () => {
  it('allows everything', () => {
    expect(answer(seccompProgram('mips'), 8, 165)).toBe(ALLOW);
  });
});

it('every denied name has a number somewhere, except those of 32 bit and of one architecture', () => {
  const known = new Set(Object.values(SECCOMP_ARCHITECTURES).flatMap(({ numbers }) => Object.keys(numbers)));
  const unknown = DENIED_CALLS.flatMap(({ names }) => names).filter((name) => !known.has(name));
  expect(unknown.sort()).toEqual(['stime', 'umount', 'vm86', 'vm86old']);
});
