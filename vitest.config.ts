import { globSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defineConfig } from 'vitest/config';

const include = ['src/**/*.test.ts', 'examples/**/*.test.ts', 'bench/**/*.test.ts'];
const exclude = ['**/node_modules/**', '**/*.webgpu.test.ts'];

/** Files that need a process of their own: the engine's, those that signals reach, and those that put other modules in place of ours. */
const alone = [
  'src/{cli,onnx,runs,warmup}/**/*.test.ts',
  'src/engines/onnx/**/*.test.ts',
  'bench/webgpu/**/*.test.ts',
  ...globSync(include, { cwd: import.meta.dirname }).filter((file) =>
    readFileSync(path.join(import.meta.dirname, file), 'utf8').includes('vi.mock('),
  ),
];

export default defineConfig({
  test: {
    projects: [
      // All others share a process, which starts once and reads each module once: a third of the time that small files take.
      { extends: true, test: { name: 'shared', include, exclude: [...exclude, ...alone], isolate: false } },
      { extends: true, test: { name: 'alone', include: alone, exclude } },
    ],
    // The engine's kernels already use every core; two test files at a time keep 2-core machines responsive.
    pool: 'forks',
    maxWorkers: 2,
    env: {
      // What tests start (engine threads, commands) finds its sources compiled.
      NODE_COMPILE_CACHE: path.join(tmpdir(), 'node-compile-cache'),
      // Terminals that tests make up can do what they say, whatever that of the reader can do.
      ...{ NO_COLOR: '', TERM: 'xterm', LC_ALL: 'C.UTF-8' },
    },
    // A guard against hanging, not a measure of speed: slow disks and busy machines must not fail a test.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
