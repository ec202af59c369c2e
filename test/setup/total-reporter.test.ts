import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { writeFiles } from './folder.js'

function lastLineOf(files: Record<string, string>): { status: number | null; lastLine: string | undefined } {
  // Inside the checkout, so that vitest is found from there.
  const folder = mkdtempSync(path.resolve('node_modules/.vggnet-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const reporter = JSON.stringify(path.resolve('test/setup/total-reporter.ts'))
  writeFiles(folder, {
    'vitest.config.ts': `import { TotalReporter } from ${reporter}
      export default { test: { include: ['*.case.ts'], exclude: [], reporters: ['default', new TotalReporter()] } }`,
    ...files,
  })
  const vitest = path.resolve('node_modules/vitest/vitest.mjs')
  const { status, stdout } = spawnSync(process.execPath, [vitest, 'run', '--root', folder], { encoding: 'utf8' })
  return { status, lastLine: stdout.trimEnd().split('\n').at(-1) }
}

const imports = "import { expect, test } from 'vitest'\n"

test('the last line counts tests, modules that do not load, and stray errors', () => {
  const { status, lastLine } = lastLineOf({
    'a.case.ts': `${imports}test('a', () => {}); test('b', () => { expect(1).toBe(2) }); test.skip('c', () => {}); test.todo('d')`,
    'broken.case.ts': "import './not-there.js'",
    'stray.case.ts': `${imports}test('e', () => { setTimeout(() => { throw new Error('stray') }) })
      test('f', () => new Promise((resolve) => { setTimeout(resolve, 100) }))`,
  })
  expect(lastLine).toBe('3 passed, 3 failed, 2 skipped')
  expect(status).toBe(1)
})

test('a run without a failure ends with 0 failed', () => {
  expect(lastLineOf({ 'a.case.ts': `${imports}test('a', () => {})` })).toEqual({
    status: 0,
    lastLine: '1 passed, 0 failed, 0 skipped',
  })
})
