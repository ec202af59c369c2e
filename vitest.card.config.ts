import { defineConfig } from 'vitest/config'
import { LineReporter } from './scripts/gpu/line-reporter.mjs'
import everyday from './vitest.config.js'

/** `scripts/gpu-check --part first` and `tests`: what a card must pass; choosing plans for a shape takes seconds. */
export default defineConfig({
  test: {
    ...everyday.test,
    include: ['test/{device,network,card}/**/*.test.ts'],
    reporters: [new LineReporter()],
    // scripts/gpu/build.mjs has compiled the library; the compiler is not there
    globalSetup: [],
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
})
