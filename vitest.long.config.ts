import { defineConfig } from 'vitest/config'
import { TotalReporter } from './test/setup/total-reporter.js'

// What takes many minutes: npm run test:long.
export default defineConfig({
  test: {
    include: ['test/{long,manners}/**/*.test.ts'],
    reporters: ['default', new TotalReporter()],
    pool: 'forks',
    // the same arithmetic for everybody, whatever `vggnet tune` has kept here
    env: { OMP_WAIT_POLICY: 'passive', VGGNET_TUNING: 'off', VGGNET_MANNERS: 'whole' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
