import { configDefaults, defineConfig } from 'vitest/config'
import everyday from './vitest.config.js'

/** `npm run test:cuda`: what needs the CUDA library and NVIDIA's libraries. */
export default defineConfig({
  test: { ...everyday.test, include: ['test/cuda/**/*.test.ts'], exclude: configDefaults.exclude },
})
