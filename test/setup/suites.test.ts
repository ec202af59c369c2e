import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { root } from './command.js'
import { leftOut, testFiles } from './suites.js'

const configs = ['vitest', 'vitest.slow', 'vitest.cuda', 'vitest.long', 'vitest.card']

/** The files that Vitest finds with a config, as paths from the root. */
async function found(config: string, words: readonly string[] = []): Promise<string[]> {
  const program = path.join(root, 'node_modules/vitest/vitest.mjs')
  const all = [program, 'list', ...words, '--filesOnly', '--json', '--config', `${config}.config.ts`]
  const { stdout } = await promisify(execFile)(process.execPath, all, { cwd: root })
  const files: { file: string }[] = JSON.parse(stdout)
  return files.map(({ file }) => path.relative(root, file)).sort()
}

test('every test file is run by one command, and those that repeat by a second one in full', async () => {
  const [everyday = [], slow = [], cuda = [], long = [], card = []] = await Promise.all(
    configs.map((config) => found(config)),
  )
  const repeats = (file: string) => /^test\/(manners|safety)\//.test(file)
  const longOnly = long.filter((file) => !repeats(file))
  expect([...everyday, ...slow, ...cuda, ...longOnly].sort()).toEqual(testFiles)
  expect(long.filter(repeats)).toEqual(testFiles.filter(repeats))
  // a card runs some of the everyday tests once more
  expect(card.filter((file) => !everyday.includes(file))).toEqual([])
})

test('npm test runs a slow file that is named', async () => {
  const manners = testFiles.filter((file) => file.startsWith('test/manners/'))
  expect(manners.length).toBeGreaterThan(1)
  expect(await found('vitest', ['test/manners'])).toEqual(manners)
  const commandLine = (...words: string[]) => ['node', 'vitest', 'run', ...words]
  expect(leftOut(commandLine('test/network', '--no-color'))).toEqual(leftOut(commandLine()))
  expect(leftOut(commandLine()).length - leftOut(commandLine('test/manners')).length).toBe(manners.length)
})

test('.ci/run runs every suite but the long one', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const suites = Object.keys(scripts).filter((name) => /^test(:|$)/.test(name) && !/:(long|debug)$/.test(name))
  const run = [...readFileSync(path.join(root, '.ci/run'), 'utf8').matchAll(/^tests \d+ (\S+)$/gm)].map(
    ([, name]) => name,
  )
  expect(run.sort()).toEqual(suites.sort())
})
