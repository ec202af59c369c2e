import { configDefaults, defineConfig } from 'vitest/config'
import { filesOf } from './test/setup/suites.js'
import everyday from './vitest.config.js'

/** `npm run test:cuda`: what needs the CUDA library and NVIDIA's libraries. */
export default defineConfig({
  test: { ...everyday.test, include: filesOf('cuda'), exclude: configDefaults.exclude },
})
