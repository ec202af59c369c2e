import { mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { root } from './setup/command.js'
import { blocksOf, linksOf, outputOf, read } from './setup/document.js'

const text = read('README.md')
const blocks = blocksOf(text, 'ts')

// Inside the package, so that `import 'vggnet'` means this package.
const folder = mkdtempSync(path.join(root, 'build', 'readme-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('README', () => {
  test('has at most 150 lines', () => expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(150))

  test('has an image before its first section', () => {
    expect(linksOf(text.slice(0, text.indexOf('\n## ')))).toContain('docs/report.png')
  })

  // .ci/run calls the second one
  test('names the command of the demo and that of the tests', () => {
    expect(blocksOf(text, 'sh').join('')).toMatch(/^npm run demo\b.*\nnpm test\b/m)
  })

  test('shows what its TypeScript prints', async () => {
    expect(blocks).toHaveLength(1)
    expect(await outputOf(blocks[0] ?? '', folder, 'block')).toBe(blocksOf(text, 'text')[0])
  })
})
