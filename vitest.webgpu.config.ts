/**
 * `npm run test:webgpu`: what is held on a GPU, or on SwiftShader, the software Vulkan of Debian's chromium, where that is installed.
 * Without either it says so and passes.
 */
import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { messageOf } from './src/base/errors.ts';
import { askAdapter } from './src/onnx/adapter.ts';

const CHROMIUM = '/usr/lib/chromium';

export default defineConfig(async () => {
  const icd = `${CHROMIUM}/vk_swiftshader_icd.json`;
  if (existsSync(icd)) {
    // A driver that was chosen by hand stays.
    process.env.VK_DRIVER_FILES ??= icd;
    process.env.VK_ICD_FILENAMES ??= icd;
    process.env.LD_LIBRARY_PATH = [process.env.LD_LIBRARY_PATH, CHROMIUM].filter(Boolean).join(':');
  }
  const found = await askAdapter([2 ** 20]).catch(messageOf);
  if (typeof found === 'string') {
    process.stdout.write(`WebGPU is not tested: ${found}\n`);
    return { test: { include: [], passWithNoTests: true } };
  }
  process.stdout.write(`WebGPU is tested on ${found.name}\n`);
  return {
    test: {
      include: ['src/**/*.webgpu.test.ts', 'live/**/*.webgpu.test.ts'],
      pool: 'forks',
      // A software GPU takes every core by itself.
      maxWorkers: 1,
      testTimeout: 600_000,
      hookTimeout: 600_000,
    },
  };
});
