import { readdirSync } from 'node:fs'
import path from 'node:path'
import { root } from './command.js'

/**
 * Test files and folders of test files that `npm test` leaves out, by the suite that runs them. Each suite has a share of the
 * time that `.ci/run` may take: docs/architecture.md.
 */
const suites = {
  /** `npm run test:slow`: packaging, set-up, loading, sanitizer builds, manners, safety, tuning. */
  slow: [
    'test/cli/tune.test.ts',
    'test/conditions.test.ts',
    'test/group/',
    'test/loading/',
    'test/manners/',
    'test/package/',
    'test/safety/',
    'test/setup/',
  ],
  /** `npm run test:cuda`: what needs the CUDA library and NVIDIA's libraries. */
  cuda: ['test/cuda/'],
  /** `npm run test:long`: what takes many minutes. */
  long: ['test/long/'],
} as const

export type Suite = keyof typeof suites

/** Every test file, as a path from the root. */
export const testFiles = readdirSync(path.join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => `test/${file}`)
  .sort()

/** The test files of a suite, as paths from the root. */
export const filesOf = (suite: Suite): string[] =>
  testFiles.filter((file) => suites[suite].some((prefix) => file.startsWith(prefix)))

/**
 * The slow files that this run of Vitest leaves out: all but those that match a word of its command line, as in
 * `npm test -- test/setup`.
 */
export function leftOut(commandLine: readonly string[] = process.argv): string[] {
  const words = commandLine.slice(3).filter((word) => !word.startsWith('-'))
  return filesOf('slow').filter((file) => !words.some((word) => file.includes(word)))
}
