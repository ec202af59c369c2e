import { configDefaults, defineConfig } from 'vitest/config'
import { filesOf } from './test/setup/suites.js'
import everyday from './vitest.config.js'

/** `npm run test:slow`: what is slow by nature. */
export default defineConfig({
  test: { ...everyday.test, include: filesOf('slow'), exclude: configDefaults.exclude },
})
