import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { include: ['bench/cluster/*.bench.ts'], hookTimeout: 1_800_000 } });
