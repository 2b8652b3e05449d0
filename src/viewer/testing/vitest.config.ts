/** `npm run test:browser`: the viewer's page in a real Chromium. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/viewer/testing/*.browser.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 400_000,
    hookTimeout: 180_000,
  },
});
