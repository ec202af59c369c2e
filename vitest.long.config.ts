import { configDefaults, defineConfig } from 'vitest/config'
import { filesOf } from './test/setup/suites.js'
import everyday from './vitest.config.js'

/** `npm run test:long`: what takes many minutes, one file at a time; manners and safety in full. */
export default defineConfig({
  test: {
    ...everyday.test,
    include: [...filesOf('long'), 'test/manners/**/*.test.ts', 'test/safety/**/*.test.ts'],
    exclude: configDefaults.exclude,
    maxWorkers: 1,
    env: { ...everyday.test?.env, VGGNET_TESTS: 'whole' },
  },
})
