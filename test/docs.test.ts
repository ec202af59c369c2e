import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { commandsIn } from '../docs/tool/command-line.mjs'
import { layersOf } from '../lib/vgg/configuration.js'
import { root, start } from './setup/command.js'
import { blocksOf, outputOf, read } from './setup/document.js'
import { repository, startHub } from './setup/hub-server.js'

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

test('every example is on the list of examples', () => {
  const scripts = readdirSync(path.join(root, 'examples')).filter((name) => name.endsWith('.ts'))
  const list = read('examples', 'README.md')
  expect(scripts.filter((name) => !list.includes(name))).toEqual([])
})

/** The code with a narrow network in the position of torchvision's file of 553 MB. */
const withNarrowFile = (code: string): string =>
  code.replaceAll("'vgg16-397923af.pth'", JSON.stringify(path.join(root, 'test/golden/foreign/vgg16-narrow.pth')))

test('weights.md shows TypeScript that runs, with a hub on this machine', async () => {
  await startHub({ 'model.safetensors': readFileSync(path.join(root, 'test/golden/foreign/timm-A.safetensors')) })
  const folder = mkdtempSync(path.join(root, 'build', 'docs-'))
  try {
    const [code = '', ...others] = blocksOf(read('docs', 'weights.md'), 'ts')
    expect(others).toEqual([])
    const print = 'for (const one of [net, trunk, own]) console.log(one.variant, one.classes, one.origin?.source)\n'
    const local = withNarrowFile(code).replace('timm/vgg16.tv_in1k', repository)
    const printed = await outputOf(`${local}${print}`, folder, 'weights')
    expect(printed).toBe('D 1000 torchvision\nA 0 timm\nD 10 torchvision\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

describe('from-pytorch.md', () => {
  const page = read('docs', 'from-pytorch.md')

  // torchvision counts every convolution, ReLU and pool of `features`
  test.each([
    ['VGG11', 'A'],
    ['VGG13', 'B'],
    ['VGG16', 'D'],
    ['VGG19', 'E'],
  ] as const)('has the indices of the layers of %s', (name, letter) => {
    let index = 0
    const indices = layersOf({ variant: letter, classes: 10 }).flatMap((layer) => {
      if (layer.kind === 'max-pool') index += 1
      if (layer.kind !== 'convolution') return []
      index += 2
      return [`${layer.name} **${index - 2}**`]
    })
    expect(page).toContain(`| ${name}, ${letter} | ${indices.join(', ')} |`)
  })

  test('shows TypeScript that runs', async () => {
    const folder = mkdtempSync(path.join(root, 'build', 'docs-'))
    try {
      const grey = { create: { width: 80, height: 60, channels: 3, background: '#888' } } as const
      await sharp(grey).jpeg().toFile(path.join(folder, 'image.jpg'))
      const blocks = blocksOf(page, 'ts').map((code) =>
        withNarrowFile(code).replace("'image.jpg'", JSON.stringify(path.join(folder, 'image.jpg'))),
      )
      expect(blocks).toHaveLength(1)
      for (const [index, code] of blocks.entries()) await outputOf(code, folder, String(index))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
