/** What differs between processors in an ELF file whose only instructions are exit(0). */
interface Processor {
  /** e_machine of elf(5). */
  readonly machine: number;
  readonly bits: 32 | 64;
  readonly bigEndian?: boolean;
  readonly flags?: number;
  /** Machine code, in hexadecimal. */
  readonly code: string;
  /** As in `qemu-NAME-static`. */
  readonly qemu: string;
}

const PROCESSORS: Readonly<Record<string, Processor>> = {
  // mov eax,60; xor edi,edi; syscall
  amd64: { machine: 62, bits: 64, code: 'b83c00000031ff0f05', qemu: 'x86_64' },
  // mov eax,1; xor ebx,ebx; int 0x80
  '386': { machine: 3, bits: 32, code: 'b80100000031dbcd80', qemu: 'i386' },
  // mov x8,#93; mov x0,#0; svc #0
  arm64: { machine: 183, bits: 64, code: 'a80b80d2000080d2010000d4', qemu: 'aarch64' },
  // mov r7,#1; mov r0,#0; svc #0; EABI 5
  arm: { machine: 40, bits: 32, flags: 0x5000000, code: '0170a0e30000a0e3000000ef', qemu: 'arm' },
  // li a7,93; li a0,0; ecall
  riscv64: { machine: 243, bits: 64, code: '9308d0051305000073000000', qemu: 'riscv64' },
  // li r0,1; li r3,0; sc; ABI 2
  ppc64le: { machine: 21, bits: 64, flags: 2, code: '010000380000603802000044', qemu: 'ppc64le' },
  // lghi %r2,0; svc 1
  s390x: { machine: 22, bits: 64, bigEndian: true, code: 'a72900000a01', qemu: 's390x' },
};

const BASE = 0x10000;

/** A Linux program for a processor (GOARCH) that ends at once with code 0; undefined for a processor that is not known here. */
export function exitProgram(architecture: string): Buffer | undefined {
  const processor = PROCESSORS[architecture];
  return processor === undefined ? undefined : elf(processor);
}

/** The name of QEMU's emulator for a processor. */
export function qemuName(architecture: string): string {
  return `qemu-${PROCESSORS[architecture]?.qemu ?? architecture}`;
}

/** A file header, one program header, and the code (elf(5)). */
function elf({ machine, bits, bigEndian = false, flags = 0, code }: Processor): Buffer {
  const wide = bits === 64;
  const [headerSize, segmentSize] = wide ? [64, 56] : [52, 32];
  const instructions = Buffer.from(code, 'hex');
  const start = headerSize + segmentSize;
  const size = start + instructions.length;
  const out: Buffer[] = [
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, bigEndian ? 2 : 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  ];
  const put = (value: number, bytes: 2 | 4 | 8): void => {
    const field = Buffer.alloc(bytes);
    if (bytes === 8) bigEndian ? field.writeBigUInt64BE(BigInt(value)) : field.writeBigUInt64LE(BigInt(value));
    else bigEndian ? field.writeUIntBE(value, 0, bytes) : field.writeUIntLE(value, 0, bytes);
    out.push(field);
  };
  const word = wide ? 8 : 4;
  put(2, 2); // e_type: ET_EXEC
  put(machine, 2);
  put(1, 4); // e_version
  put(BASE + start, word); // e_entry
  put(headerSize, word); // e_phoff
  put(0, word); // e_shoff
  put(flags, 4);
  for (const value of [headerSize, segmentSize, 1, 0, 0, 0]) put(value, 2);
  put(1, 4); // p_type: PT_LOAD
  if (wide) put(5, 4); // p_flags: readable, executable
  put(0, word); // p_offset
  put(BASE, word); // p_vaddr
  put(BASE, word); // p_paddr
  put(size, word); // p_filesz
  put(size, word); // p_memsz
  if (!wide) put(5, 4);
  put(BASE, word); // p_align
  out.push(instructions);
  return Buffer.concat(out);
}
