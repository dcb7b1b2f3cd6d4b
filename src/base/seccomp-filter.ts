import { DENIED_CALLS, SECCOMP_ARCHITECTURES, type SeccompRule } from './seccomp-profile.js';

// linux/bpf_common.h and linux/seccomp.h
const LOAD = 0x20;
const AND = 0x54;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const RETURN = 0x06;
const KILL_PROCESS = 0x80000000;
const ERRNO = 0x00050000;
const ALLOW = 0x7fff0000;
const ENOSYS = 38;

// struct seccomp_data: nr, arch, instruction pointer, six arguments of 64 bits (low half first on the architectures we know)
const OFFSET_NUMBER = 0;
const OFFSET_ARCH = 4;
const OFFSET_ARGUMENTS = 16;

interface Instruction {
  readonly code: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly value: number;
}

/**
 * The denied calls as a classic BPF program for `bwrap --seccomp` (an array of `struct sock_filter`). Programs of a foreign
 * architecture (32 bit on 64 bit) are killed: their calls have other numbers. On an architecture without a table everything is allowed;
 * namespaces and capabilities hold there too.
 * @param arch Node's `process.arch`
 */
export function seccompProgram(arch: string = process.arch): Buffer {
  const architecture = SECCOMP_ARCHITECTURES[arch];
  if (architecture === undefined) return assemble([answer(ALLOW)]);
  return assemble([
    load(OFFSET_ARCH),
    jump(JUMP_EQUAL, architecture.auditArch, 1, 0),
    answer(KILL_PROCESS),
    load(OFFSET_NUMBER),
    jump(JUMP_GREATER, architecture.lastCall, 0, 1),
    answer(ERRNO | ENOSYS),
    ...DENIED_CALLS.flatMap((rule) =>
      rule.names.flatMap((name) => {
        const number = architecture.numbers[name];
        return number === undefined ? [] : deny(rule, number);
      }),
    ),
    answer(ALLOW),
  ]);
}

/** The part of the program for one call. It begins and ends with the call's number in the accumulator. */
function deny({ errno, when }: SeccompRule, number: number): readonly Instruction[] {
  const refusal = answer(ERRNO | errno);
  if (when === undefined) return [jump(JUMP_EQUAL, number, 0, 1), refusal];
  // All these arguments are C ints or have their flags in the lower 32 bits; the kernel ignores the upper half too.
  const argument = load(OFFSET_ARGUMENTS + 8 * when.argument);
  const tests =
    'equals' in when
      ? when.equals.flatMap((value) => [argument, jump(JUMP_EQUAL, value, 0, 1), refusal])
      : when.anyBit.flatMap((bit) => [
          argument,
          { code: AND, ifTrue: 0, ifFalse: 0, value: bit },
          jump(JUMP_EQUAL, bit, 0, 1),
          refusal,
        ]);
  return [jump(JUMP_EQUAL, number, 0, tests.length + 1), ...tests, load(OFFSET_NUMBER)];
}

const load = (offset: number): Instruction => ({ code: LOAD, ifTrue: 0, ifFalse: 0, value: offset });
const answer = (value: number): Instruction => ({ code: RETURN, ifTrue: 0, ifFalse: 0, value });
const jump = (code: number, value: number, ifTrue: number, ifFalse: number): Instruction => ({
  code,
  ifTrue,
  ifFalse,
  value,
});

function assemble(instructions: readonly Instruction[]): Buffer {
  const program = Buffer.alloc(instructions.length * 8);
  instructions.forEach(({ code, ifTrue, ifFalse, value }, index) => {
    program.writeUInt16LE(code, index * 8);
    program.writeUInt8(ifTrue, index * 8 + 2);
    program.writeUInt8(ifFalse, index * 8 + 3);
    program.writeUInt32LE(value >>> 0, index * 8 + 4);
  });
  return program;
}
