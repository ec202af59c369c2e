import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { root } from './setup/command.js'
import { writeDigitPhotos } from './setup/digit-photos.js'
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

  // torchvision's own file has 553 MB: this one has its names, classes and image size, and narrow layers
  test('shows what its TypeScript prints', async () => {
    expect(blocks).toHaveLength(2)
    const photos = path.join(folder, 'photos')
    mkdirSync(photos)
    await writeDigitPhotos(photos, 3, 10)
    const [digit = ''] = readdirSync(path.join(photos, 'digit-0'))
    const files = {
      'vgg16-397923af.pth': path.join(root, 'test/golden/foreign/vgg16-narrow.pth'),
      'holiday.jpg': path.join(photos, 'digit-0', digit),
      photos,
    }
    const [first, second] = blocks.map((block) =>
      block.replaceAll(/'([\w.-]+)'/g, (whole, name: string) => {
        return name in files ? `'${files[name as keyof typeof files]}'` : whole
      }),
    )
    expect(await outputOf(first ?? '', folder, 'first')).toBe(blocksOf(text, 'text')[0])
    const [, printed] = /console\.log\(.*\) \/\/ (.*)/.exec(second ?? '') ?? []
    expect(await outputOf(second ?? '', folder, 'second')).toBe(`${printed}\n`)
  })
})
