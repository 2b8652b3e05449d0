import { tmpdir } from 'node:os';
import path from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    exclude: ['**/node_modules/**', '**/*.webgpu.test.ts'],
    include: ['src/**/*.test.ts', 'examples/**/*.test.ts', 'bench/**/*.test.ts'],
    // The engine's kernels already use every core; two test files at a time keep 2-core machines responsive.
    pool: 'forks',
    maxWorkers: 2,
    // What tests start (engine threads, commands) finds its sources compiled.
    env: { NODE_COMPILE_CACHE: path.join(tmpdir(), 'node-compile-cache') },
    // A guard against hanging, not a measure of speed: slow disks and busy machines must not fail a test.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
