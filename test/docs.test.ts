import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { commandsIn } from '../docs/tool/command-line.mjs'
import { layersOf } from '../lib/vgg/vgg.js'
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
}, 300_000)

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

const pages = ['docs/from-pytorch.md', 'docs/how-it-works.md', 'examples/README.md']

test.each(pages)('the links of %s lead to files', (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, link = '']) => link)
  expect(links.filter((link) => !existsSync(path.join(root, path.dirname(page), link)))).toEqual([])
  expect(links.length).toBeGreaterThan(0)
})

test('every example is on the list of examples', () => {
  const scripts = readdirSync(path.join(root, 'examples')).filter((name) => name.endsWith('.ts'))
  const list = read('examples', 'README.md')
  expect(scripts.filter((name) => !list.includes(name))).toEqual([])
})

describe('from-pytorch.md', () => {
  const page = read('docs', 'from-pytorch.md')

  // torchvision counts every convolution, ReLU and pool of `features`
  test.each([
    ['VGG11', 'A'],
    ['VGG13', 'B'],
    ['VGG16', 'D'],
    ['VGG19', 'E'],
  ])('has the places of the layers of %s', (name, letter) => {
    let place = 0
    const places = layersOf({ variant: letter, classes: 10 }).flatMap((layer) => {
      if (layer.kind === 'max-pool') place += 1
      if (layer.kind !== 'convolution') return []
      place += 2
      return [`${layer.name} **${place - 2}**`]
    })
    expect(page).toContain(`| ${name}, ${letter} | ${places.join(', ')} |`)
  })

  test('shows TypeScript that runs', async () => {
    const folder = mkdtempSync(path.join(root, 'build', 'docs-'))
    try {
      const grey = { create: { width: 80, height: 60, channels: 3, background: '#888' } } as const
      await sharp(grey).jpeg().toFile(path.join(folder, 'picture.jpg'))
      // a net of a few megabytes in the place of VGG-11
      const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) =>
        code
          .replace('classes: 10,', 'classes: 10, imageSize: 32, width: 0.125, headWidth: 16,')
          .replaceAll('224', '32')
          .replace('256', '36')
          .replaceAll(/'(form|vgg11)\.safetensors'/g, JSON.stringify(path.join(folder, 'form.safetensors')))
          .replace("'picture.jpg'", JSON.stringify(path.join(folder, 'picture.jpg'))),
      )
      expect(blocks).toHaveLength(2)
      for (const [index, code] of blocks.entries()) {
        const file = path.join(folder, `${index}.ts`)
        writeFileSync(file, code)
        expect(await start(file, []).ended).toMatchObject({ code: 0, stderr: '' })
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
