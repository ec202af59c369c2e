import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Ended, root, vggnet } from '../setup/command.js'
import { writePhotos } from '../setup/photos.js'

/** What a name does to a terminal that obeys it: the clipboard, colours, hidden text, another title, C1, an order of letters. */
const names = {
  clipboard: 'a\x1b]52;c;cm0gLXJmIC8=\x07',
  colour: 'b\x1b[8mhidden\x1b[0m\r\n\t',
  c1: 'c\u009b31m\u0090\u202egpj.\u2066\x7f',
}
const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-names-'))
/** Also the path of everything is hostile. */
const home = path.join(folder, `home\x1b]0;title\x07\n`)
const at = (...parts: string[]): string => path.join(home, ...parts)
const [run, model, bad] = [at('run'), at('made\u009b.safetensors'), at('broken\x1b[2J.png')]

const small = ['--variant', 'A', '--image-size', '32', '--width', '0.02', '--head-width', '4', '--threads', '1']

beforeAll(async () => {
  const photos = Object.values(names).flatMap((name) => ['1', '2', '3'].map((file) => `photos/${name}/${file}.png`))
  await writePhotos(home, photos)
  const words = ['--epochs', '1', '--batch', '3', '--split', '0.34', '--device', 'cpu', '--out', run]
  const trained = await vggnet(['train', at('photos'), ...small, ...words], colours)
  expect(trained).toMatchObject({ code: 0, stdout: expect.stringContaining('saved to') })
  checkOutput(trained)
  writeFileSync(bad, 'no image')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** With colours, so that only a colour that the program itself uses may pass. */
const colours = { FORCE_COLOR: '1', NO_COLOR: undefined }
const ownColours = /\p{Cc}\[(?:[12]|22|3[1-9])m/gu

/** Fails where a terminal would obey a part of the output. */
function checkOutput({ stdout, stderr }: Pick<Ended, 'stdout' | 'stderr'>): void {
  for (const text of [stdout, stderr])
    expect(text.replaceAll(ownColours, '')).not.toMatch(/[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u)
}

describe('a terminal obeys no name of a class, a folder or a file in the output of', () => {
  const photo = () => at('photos', names.colour, '1.png')
  test.each<[string, () => string[], number]>([
    ['check', () => ['check', at('photos'), ...small, '--device', 'cpu'], 0],
    ['evaluate', () => ['evaluate', run, '--device', 'cpu'], 0],
    ['evaluate --json', () => ['evaluate', run, '--device', 'cpu', '--json'], 0],
    ['classify', () => ['classify', run, photo(), bad, '--top', '3', '--device', 'cpu'], 1],
    ['classify --json', () => ['classify', run, photo(), bad, '--top', '3', '--device', 'cpu', '--json'], 1],
    ['report', () => ['report', run, '--device', 'cpu'], 0],
    ['import', () => ['import', run, '--out', model], 0],
    ['describe', () => ['describe', run], 0],
    ['verify', () => ['verify', run, '--against', bad], 1],
    ['train --out', () => ['train', at('photos'), ...small, '--out', run], 2],
  ])('%s', async (command, words, code) => {
    const ended = await vggnet(words(), colours)
    expect(ended).toMatchObject({ code })
    checkOutput(ended)
    if (!command.endsWith('--json')) return
    const text = JSON.stringify(JSON.parse(ended.stdout))
    expect(text).toContain(JSON.stringify(names.c1).slice(1, -1))
  })

  test('a warning, and the error of a damaged folder', async () => {
    const kept = at('run/checkpoints')
    const [best = ''] = readdirSync(kept).filter((name) => name.startsWith('best'))
    renameSync(path.join(kept, best), path.join(kept, 'away'))
    writeFileSync(path.join(kept, best), 'nothing')
    const ended = await vggnet(['classify', run, at('photos', names.clipboard, '2.png'), '--device', 'cpu'], colours)
    expect(ended.stderr).toContain('vggnet: skipped ')
    checkOutput(ended)
    for (const line of ended.stderr.trimEnd().split('\n')) expect(line).toMatch(/^vggnet: /)
  })
})

test('only one file of the command line prints', () => {
  const files = readdirSync(path.join(root, 'lib/cli'), { recursive: true, encoding: 'utf8' })
  const printing = files
    .filter((name) => name.endsWith('.ts'))
    .filter((name) => /console\.|process\.std\w+\.write/.test(readFileSync(path.join(root, 'lib/cli', name), 'utf8')))
  // main.ts prints before any other file may be imported
  expect(printing.sort()).toEqual(['main.ts', 'terminal/print.ts'])
})
