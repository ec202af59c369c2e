import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { classify, load, Network, readImage, save, Tensor, type VGG } from '../../lib/index.js'
import { programMistakes } from '../mistakes/mistake.js'
import { vggnet } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { smallNet } from '../setup/stripes.js'

let folder: string
let net: VGG
const at = (name: string): string => path.join(folder, name)
const size = { height: 32, width: 32, channels: 1 } as const
const inputOf = async (file: string) => readImage(file, size, { smallestSide: 40 })

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-classify-'))
  // the middle of its range, 40, and not the smallest S that covers the input
  net = await smallNet({ classNames: ['a', 'b', 'c'], preprocessing: { smallestSide: [36, 44] } })
  await save(net, at('model.safetensors'))
  for (const [index, name] of ['one', 'two'].entries()) {
    const noise = { type: 'gaussian', mean: 100 + 50 * index, sigma: 40 } as const
    await sharp({ create: { width: 60, height: 48, channels: 3, background: '#000', noise } })
      .png()
      .toFile(at(`${name}.png`))
  }
  await writeFile(at('bad.png'), 'no image')
})
afterAll(async () => {
  net.dispose()
  await rm(folder, { recursive: true })
})

describe('classify', () => {
  test('answers a path, its bytes and the tensor of its pixels alike, with the most probable classes in order', async () => {
    const answers = await classify(net, at('one.png'), { top: 3 })
    const pixels = await inputOf(at('one.png'))
    const image = Tensor.from(pixels, [1, 32, 32, 1])
    const [row = []] = await (await (await net.forward(image)).softmax()).topk(3)
    const named = row.map(({ index, value }) => ({ class: 'abc'[index], index, probability: value }))
    expect(answers).toEqual(named)
    expect(await classify(net, await readFile(at('one.png')), { top: 3 })).toEqual(answers)
    expect(await classify(net, image, { top: 3 })).toEqual(answers)
    expect(await classify(net, at('one.png'))).toEqual(answers.slice(0, 1))
  })

  test('answers an array with an array, in which a tensor may hold several images', async () => {
    const files = [at('one.png'), at('two.png')]
    const both = await classify(net, files, { top: 3 })
    const pixels = Buffer.concat(await Promise.all(files.map(inputOf)))
    const images = Tensor.from(new Uint8Array(pixels), [2, 32, 32, 1])
    expect(await classify(net, [images], { top: 3 })).toEqual(both)
    // alone, sums are rounded differently
    const three = await classify(net, [at('two.png'), images], { top: 3 })
    expect(three.slice(1)).toEqual(both)
    expect(three[0]?.map(({ class: name }) => name)).toEqual(both[1]?.map(({ class: name }) => name))
    expect(three[0]?.[0]?.probability).toBeCloseTo(both[1]?.[0]?.probability ?? 0, 5)
    expect(await classify(net, [])).toEqual([])
  })
})

test('the command goes on after a bad file, names it, answers as classify does, and ends with exit code 1', async () => {
  const files = ['one.png', 'bad.png', 'none.png', 'two.png'].map(at)
  const words = ['classify', at('model.safetensors'), ...files, '--device', 'cpu', '--threads', '2']
  const json = await vggnet([...words, '--top', '2', '--json'])
  const bad = `Expected an image for ${at('bad.png')} but it is text`
  const none = `No file at ${at('none.png')}`
  const [one, two] = await classify(net, [at('one.png'), at('two.png')], { top: 2 })
  expect(JSON.parse(json.stdout)).toEqual([
    { file: files[0], answers: one },
    { file: files[1], error: { code: 'FILE_FORMAT', message: bad } },
    { file: files[2], error: { code: 'FILE_NOT_FOUND', message: none } },
    { file: files[3], answers: two },
  ])
  const stderr = `vggnet: FILE_FORMAT: ${bad}\nvggnet: FILE_NOT_FOUND: ${none}\n`
  expect(json).toMatchObject({ code: 1, stderr })
  const text = await vggnet(words)
  expect(text.stdout).toMatch(/^\S+one\.png +[abc] \S+ %\n\S+two\.png +[abc] \S+ %\n$/)
  expect(text).toMatchObject({ code: 1, stderr })
})

test('load takes the folder of a run or of checkpoints, for its best model', async () => {
  const run = at('run')
  const checkpoints = path.join(run, 'checkpoints')
  await mkdir(checkpoints, { recursive: true })
  const meanOf = async (given: string) => {
    const loaded = await load(given, { device: 'cpu' })
    loaded.dispose()
    return loaded.configuration.meanRgb[0]
  }
  const saved = async (file: string, mean: number) => {
    const other = await smallNet({ meanRgb: mean })
    await save(other, file)
    other.dispose()
  }
  await saved(path.join(checkpoints, 'step-00000001.safetensors'), 1)
  await saved(path.join(checkpoints, 'step-00000002.safetensors'), 2)
  expect([await meanOf(run), await meanOf(checkpoints)]).toEqual([2, 2])
  await saved(path.join(run, 'model.safetensors'), 3)
  expect([await meanOf(run), await meanOf(checkpoints)]).toEqual([3, 2])
  await saved(path.join(checkpoints, 'best.safetensors'), 4)
  expect([await meanOf(run), await meanOf(checkpoints)]).toEqual([4, 4])
})

programMistakes('classify', [
  {
    name: 'a file that is no image, in an array of bytes',
    make: async () => classify(net, [await readFile(at('one.png')), Buffer.from('no image')]),
    code: 'FILE_FORMAT',
    problem: ['images[1]', 'it is text'],
    cure: ['Expected an image'],
  },
  {
    name: 'a tensor of several images instead of one',
    make: () => classify(net, Tensor.zeros([2, 32, 32, 1], { dtype: 'uint8' })),
    code: 'INVALID_ARGUMENT',
    problem: ['images', 'Tensor'],
    cure: ['one image, or an array ([images]) for several'],
  },
  {
    name: 'a tensor of another size',
    make: () => classify(net, Tensor.zeros([1, 64, 64, 1], { dtype: 'uint8' })),
    code: 'SHAPE_MISMATCH',
    problem: ['[1, 64, 64, 1]'],
    cure: ['32x32', 'readImage', 'forward'],
  },
  {
    name: 'more classes than there are',
    make: () => classify(net, at('one.png'), { top: 4 }),
    code: 'INVALID_ARGUMENT',
    problem: ['top', '4 (number)'],
    cure: ['from 1 to 3'],
  },
  {
    name: 'a network of custom layers',
    make: async () => {
      const layers = [
        { kind: 'input', channels: 1, mean: [0], scale: [1] },
        { kind: 'linear', name: 'fc', outputs: 2, window: [8, 8] },
      ] as const
      using other = await Network.create({ layers, device: 'cpu' })
      await classify(other as never, at('one.png'))
    },
    code: 'INVALID_ARGUMENT',
    problem: ['net', 'Network'],
    cure: ['a VGG'],
  },
  {
    name: 'a folder without a model for load',
    make: () => load(newFolder()),
    code: 'FILE_NOT_FOUND',
    problem: ['has no model that can be used'],
    cure: ['a model, or the folder of a run or of checkpoints'],
  },
])
