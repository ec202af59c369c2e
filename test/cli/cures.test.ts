import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Command } from 'commander'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memoryFor } from '../../lib/check/cost.js'
import { createProgram } from '../../lib/cli/program.js'
import { Random } from '../../lib/random.js'
import { root } from '../setup/command.js'
import { smallNet } from '../setup/stripes.js'
import { typed } from '../setup/typed.js'

let folder = ''
const at = (name: string): string => path.join(folder, name)
const small = ['--variant', 'A', '--image-size', '32', '--width', '0.125', '--head-width', '32', '--batch', '8']
const quick = [...small, '--epochs', '1', '--threads', '1', '--device', 'cpu']

/** 2 classes of 12 images with colours around `mean`. */
async function writePhotos(name: string, mean: number): Promise<void> {
  const random = new Random(1)
  for (const [label, kind] of ['calm', 'wild'].entries()) {
    mkdirSync(path.join(at(name), kind), { recursive: true })
    for (let image = 0; image < 12; image++) {
      const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, (_, index) => {
        const wave = Math.sin(index * (label === 0 ? 0.01 : 0.7) + image)
        return mean + 40 * wave + random.uniform(-20, 20)
      })
      const raw = { width: 32, height: 32, channels: 3 } as const
      await sharp(pixels, { raw })
        .png()
        .toFile(path.join(at(name), kind, `${image}.png`))
    }
  }
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-cures-'))
  await writePhotos('photos', 128)
  await writePhotos('broken', 128)
  writeFileSync(at('broken/calm/zz.png'), 'no image')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The flag with its value that a message advises: `--scale 1/58`. */
const adviceIn = (text: string, flag: string): string[] =>
  new RegExp(`${flag} [\\w./,+-]*[\\w/]`).exec(text)?.[0].split(' ') ?? [`no ${flag} in ${text}`]

describe('a cure of the check works when it is typed', () => {
  test.each<[string, string[], string]>([
    ['pixels without a scale', ['--initialisation', 'he', '--scale', '1'], '--scale'],
    ['pixels scaled twice', ['--scale', '1/20000'], '--scale'],
    ['a network that stays at its first loss', ['--initialisation', 'paper', '--variant', 'D'], '--initialisation'],
    ['another mean than that of the images', ['--mean', '0'], '--mean'],
    ['a learning rate that is too large', ['--learning-rate', '3000'], '--learning-rate'],
  ])('%s', async (_, words, flag) => {
    const check = ['check', at('photos'), ...quick, ...words]
    const { stdout } = await typed(...check)
    const after = await typed(...check, ...adviceIn(stdout, flag))
    expect(after).toMatchObject({ status: 0, error: '' })
    expect(after.stdout).not.toContain(flag)
  })

  test('a batch that does not fit', async () => {
    using net = await smallNet()
    const options = { batch: 20, microBatch: undefined, initialisation: undefined }
    const { bytes } = memoryFor(net, { ...options, batch: 10, memoryLimit: undefined })
    const { findings } = memoryFor(net, { ...options, memoryLimit: bytes })
    const advice = adviceIn(findings[0]?.text ?? '', '--micro-batch')
    const after = await typed('check', at('photos'), ...quick, '--batch', '20', ...advice)
    expect(after).toMatchObject({ status: 0, error: '' })
  })

  test('an image that cannot be read', async () => {
    const before = await typed('check', at('broken'), ...quick)
    expect(before).toMatchObject({ status: 1, error: expect.stringContaining('FILE_FORMAT: ') })
    const after = await typed('check', at('broken'), ...quick, ...adviceIn(before.error, '--on-unreadable'))
    expect(after).toMatchObject({ status: 0, error: '' })
  })
})

test('one number stands for all channels, and a fraction is a number', async () => {
  const network = ['describe', '--width', '1/8', '--json']
  expect(await typed(...network)).toEqual(await typed('describe', '--width', '0.125', '--json'))
  const found = await typed('check', at('photos'), ...quick, '--mean', '120', '--scale', '1/58', '--json')
  const { input } = JSON.parse(found.stdout)
  for (const { mean, meanAfter } of input.channels) expect(meanAfter).toBeCloseTo((mean - 120) / 58, 4)
})

test('a folder that holds a run: the command that continues it', async () => {
  const run = at("a user's run")
  const words = ['train', at('photos'), ...quick, '--no-check', '--out', run]
  expect(await typed(...words)).toMatchObject({ status: 0, error: '' })
  const { error } = await typed(...words)
  const [, name = ''] = /`npx vggnet train --resume '(.*)'`/.exec(error) ?? []
  expect(name.replaceAll("'\\''", "'")).toBe(run)
})

const lib = readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: readFileSync(path.join(root, 'lib', file), 'utf8') }))

/** A program that parses its words and does nothing. */
function parser(): Command {
  const idle = (command: Command): Command => {
    for (const one of command.commands) idle(one).action(() => undefined)
    return command
  }
  return idle(createProgram())
}

const programs = (command: Command): Command[] => [command, ...command.commands.flatMap(programs)]

const helpOf = (command: Command): string => {
  let help = ''
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
  return help
}

describe('a command', () => {
  const examples = programs(createProgram()).flatMap((command) =>
    [
      ...helpOf(command)
        .replaceAll(/ \\\n +/g, ' ')
        .matchAll(/^ +\$ vggnet (.*?)(?: +#.*)?$/gm),
    ].map(([, words = '']) => words),
  )
  const advised = lib.flatMap(({ text }) =>
    [...text.matchAll(/`npx vggnet ([^`$]+)`/g)].map(([, words = '']) => words.replace(/\\$/, '')),
  )

  test.each([...new Set([...examples, ...advised])])('vggnet %s is accepted', async (words) => {
    await parser().parseAsync(words.split(' '), { from: 'user' })
  })
})

test('each flag that a message names is one of the program', () => {
  const known = new Set(programs(createProgram()).flatMap(({ options }) => options.map(({ long }) => long)))
  // of pip, hf, node and Open MPI's mpirun
  const foreign = ['--no-deps', '--revision', '--max-old-space-size', '--import', '--bind-to', '--map-by']
  for (const other of foreign) known.add(other)
  // style sheets, and how npm, docker and pip are called
  const others = /^(?:report|platform\/(?:load|wheels))\//
  const comment = /^ *(?:\*|\/[*/])/
  const unknown = lib.flatMap(({ file, text }) => {
    const lines = others.test(file) ? [] : text.split('\n').filter((line) => !comment.test(line))
    const flags = lines.flatMap((line) => line.match(/(?<=[\s('"`])--[a-z-]*[a-z](?![\w-])/g) ?? [])
    return flags.filter((flag) => !known.has(flag)).map((flag) => `${file}: ${flag}`)
  })
  expect(unknown).toEqual([])
})
