import { configDefaults, defineConfig } from 'vitest/config'
import { filesOf, leftOut } from './test/setup/suites.js'
import { TotalReporter } from './test/setup/total-reporter.js'

/** `npm test`: the whole behaviour of the product. Which files belong to another command: test/setup/suites.ts. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...filesOf('cuda'), ...filesOf('long'), ...leftOut()],
    reporters: ['default', new TotalReporter()],
    globalSetup: 'test/setup/compiled-library.ts',
    // Processes, not worker threads: OpenMP reads its environment once per process, and a crash of native code stays
    // in one file of tests.
    pool: 'forks',
    // One for each processor: most tests wait for child processes. Vitest's default leaves one processor idle.
    maxWorkers: '100%',
    // the same arithmetic for everybody, whatever `vggnet tune` has kept here
    env: { OMP_WAIT_POLICY: 'passive', VGGNET_TUNING: 'off' },
    // against hangs only: a busy machine may be ten times slower
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
})
