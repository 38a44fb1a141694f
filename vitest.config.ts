import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Engines bring their own threads, and tests of the command line their own processes.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
