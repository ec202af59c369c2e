import { defineConfig } from 'vitest/config'
import { TotalReporter } from './test/setup/total-reporter.js'

// What takes many minutes: npm run test:long.
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    reporters: ['default', new TotalReporter()],
    pool: 'forks',
    env: { OMP_WAIT_POLICY: 'passive' },
  },
})
