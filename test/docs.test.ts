import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { commandsIn } from '../docs/tool/command-line.mjs'
import { root, start } from './setup/command.js'

const read = (...parts: string[]): string => readFileSync(path.join(root, ...parts), 'utf8')

/** The names that a file re-exports. */
const exportsOf = (text: string): string[] =>
  [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
    .flatMap(([, names = '']) => names.split(','))
    .map((name) => name.replace(/^\s*type\s/, '').trim())
    .filter((name) => name !== '')
    .sort()

test('every public name stands in one topic of the reference', () => {
  const topics = readdirSync(path.join(root, 'docs', 'topics')).map((name) => read('docs', 'topics', name))
  expect(topics.flatMap(exportsOf).sort()).toEqual(exportsOf(read('lib', 'index.ts')))
})

test('the reference is what the docstrings say', async (context) => {
  const { code, stderr } = await start('docs/tool/main.mjs', ['--check']).ended
  if (code === 69) context.skip(stderr.trim().split('\n').at(-1))
  expect(code, stderr).toBe(0)
})

test("every command's help is on the page of the command line", () => {
  const page = read('docs', 'api', 'command-line.md')
  const help = /## vggnet\n\n```text\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
  expect(commandsIn(help)).toContain('train')
  for (const command of commandsIn(help)) expect(page).toContain(`### vggnet ${command}\n`)
})

test("the tool's lock file names no host", () => {
  const { packages } = JSON.parse(read('docs', 'tool', 'package-lock.json'))
  for (const [name, entry] of Object.entries<{ resolved?: string; integrity?: string }>(packages)) {
    expect(entry.resolved, name).toBeUndefined()
    if (name !== '') expect(entry.integrity, name).toMatch(/^sha512-/)
  }
})
