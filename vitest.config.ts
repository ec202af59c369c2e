import { configDefaults, defineConfig } from 'vitest/config'
import { TotalReporter } from './test/setup/total-reporter.js'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, 'test/cuda/**', 'test/long/**'],
    reporters: ['default', new TotalReporter()],
    // Processes, not worker threads: OpenMP reads its environment once per process, and a crash of native code stays
    // in one file of tests.
    pool: 'forks',
    // the same arithmetic for everybody, whatever `vggnet tune` has kept here
    env: { OMP_WAIT_POLICY: 'passive', VGGNET_TUNING: 'off' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
