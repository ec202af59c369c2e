import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { headingsOf } from '../docs/tool/anchors.mjs'
import { save } from '../lib/index.js'
import { root } from './setup/command.js'
import { writeDigitPhotos } from './setup/digit-photos.js'
import {
  blocksOf,
  commandLinesOf,
  documents,
  inlineCodeOf,
  linksOf,
  outputOf,
  proseOf,
  read,
} from './setup/document.js'
import { smallNet } from './setup/stripes.js'
import { retiredFromDocuments, retiredIn } from './setup/words.js'

describe.each(documents)('%s', (document) => {
  const text = read(document)

  test('has links that lead to files and headings', () => {
    const links = linksOf(text)
    expect(links.length).toBeGreaterThan(0)
    const lost = links.filter((link) => {
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? document : path.posix.join(path.posix.dirname(document), file)
      if (!existsSync(path.join(root, target))) return true
      return anchor !== undefined && !headingsOf(read(target)).some((heading) => heading.anchor === anchor)
    })
    expect(lost).toEqual([])
  })

  test('names files and folders that exist', () => {
    const names = inlineCodeOf(text).filter((code) =>
      /^(native|lib|test|bench|scripts|docs|examples)\/[\w./-]+$/.test(code),
    )
    // what a measurement writes is not in a clone
    const kept = names.filter((name) => !name.startsWith('bench/results/'))
    expect(kept.filter((name) => !existsSync(path.join(root, name)))).toEqual([])
  })

  test('has commands, flags and scripts that exist', () => {
    expect(commandLinesOf(text).flatMap(unknownIn)).toEqual([])
  })

  test('has none of the retired words', () => {
    expect(retiredIn(proseOf(text), retiredFromDocuments)).toEqual([])
  })
})

const reference = read('docs', 'api', 'command-line.md')
const { scripts } = JSON.parse(read('package.json'))

/** The help of a command, such as `['cuda', 'install']`, or undefined. */
function helpOf(words: readonly string[]): string | undefined {
  const [, help] = reference.split(new RegExp(`^#{3,} vggnet ${words.join(' ')}$`, 'm'))
  return help?.split(/^#{3,} /m)[0]
}

/** What a command line names that does not exist: a script of npm or of this repository, a command of vggnet, a flag of it. */
function unknownIn(line: string): string[] {
  const [program = '', ...words] = line.split(' ')
  if (program === 'npm' && words[0] === 'run') return (words[1] ?? '') in scripts ? [] : [line]
  if (/^(scripts\/|\.ci\/)/.test(program)) return existsSync(path.join(root, program)) ? [] : [line]
  if (program !== 'vggnet' || words.length === 0) return []
  const help = helpOf(words.slice(0, words[0] === 'cuda' ? 2 : 1))
  if (help === undefined) return [line]
  const flags = words.filter((word) => word.startsWith('--'))
  return flags.filter((flag) => !new RegExp(`^ +${flag}(?![\\w-])`, 'm').test(help)).map((flag) => `${flag} of ${line}`)
}

describe('TypeScript', () => {
  // Inside the package, so that `import 'vggnet'` means this package.
  const folder = mkdtempSync(path.join(root, 'build', 'documents-'))
  beforeAll(async () => {
    await writeDigitPhotos(path.join(folder, 'photos'), 2, 20)
    copyFileSync(path.join(folder, 'photos/digit-1/0.png'), path.join(folder, 'holiday.jpg'))
    mkdirSync(path.join(folder, 'runs/photos'), { recursive: true })
    using net = await smallNet({ channels: 3, preprocessing: { smallestSide: 36 } })
    await save(net, path.join(folder, 'runs/photos/model.safetensors'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  // these have tests of their own
  const blocks = documents
    .filter((document) => !['README.md', 'docs/from-pytorch.md', 'docs/weights.md'].includes(document))
    .flatMap((document) => blocksOf(read(document), 'ts').map((code, index) => [document, index + 1, code] as const))

  test('is found', () => expect(blocks.length).toBeGreaterThanOrEqual(5))

  test.each(blocks)('of %s, block %d, runs', async (document, index, code) => {
    const inFolder = code.replaceAll(
      /'(photos|checkpoints|runs\/photos|holiday\.jpg|photos\.safetensors)'/g,
      (_, name) => JSON.stringify(path.join(folder, name)),
    )
    const output = await outputOf(inFolder, folder, `${path.basename(document, '.md')}-${index}`)
    // a comment after console.log says what is printed
    for (const [, shape = ''] of code.matchAll(/console\.log\(.*\) \/\/ (\[[\d, ]+\])$/gm))
      expect(output.replace(/\s+/g, ' ')).toContain(shape.replace(/^\[/, '[ ').replace(/\]$/, ' ]'))
  })
})

test('docs/safety.md names the campaigns of test/safety/, and no others', () => {
  const named = inlineCodeOf(read('docs/safety.md')).flatMap((code) => /^safety\/([a-z]+)$/.exec(code)?.[1] ?? [])
  const campaigns = readdirSync(path.join(root, 'test/safety')).filter((name) => name.endsWith('.test.ts'))
  expect(named.map((name) => `${name}.test.ts`).sort()).toEqual(campaigns.sort())
})
