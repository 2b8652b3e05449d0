import { defineConfig } from 'vitest/config';

/** Tests against real servers, in Python environments under .peer (live/install.ts). */
export default defineConfig({
  test: {
    include: ['live/**/*.test.ts'],
    // These belong to test:webgpu.
    exclude: ['live/**/*.webgpu.test.ts'],
    root: new URL('..', import.meta.url).pathname,
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
