import { configDefaults, defineConfig } from 'vitest/config';

// What takes minutes and is about one thing alone is in files named .long.test.ts: SLIPWAY_TESTS=all runs them too.
const exclude = [...configDefaults.exclude, ...(process.env.SLIPWAY_TESTS === 'all' ? [] : ['**/*.long.test.ts'])];

// One group after the other, so that hosts of the lab do not starve while everything else runs.
// unit: pure and fast. integration: real peers on this machine. e2e: real hosts with systemd (needs root).
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          exclude,
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude,
          testTimeout: 1_200_000,
          hookTimeout: 1_800_000,
          // Each file has hosts and addresses of its own. Three at a time leave two processors no time to get on.
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
