import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decode, encode } from '../../lib/checkpoint/safetensors.js'
import { checkWhole } from '../../lib/checkpoint/training-file.js'
import { load, loadTraining, save, train, type VGG } from '../../lib/index.js'
import { Random } from '../../lib/random.js'
import { vggnet } from '../setup/command.js'
import { sealed, unsealed } from '../setup/model-file.js'
import { stripes, smallNet as stripesNet } from '../setup/stripes.js'
import { parametersOfNet, smallNet } from './small.js'

const here = { device: 'cpu', threads: 1 } as const
const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-integrity-'))
const file = path.join(folder, 'file')

let net: VGG
/** A saved model of a few KB, and a checkpoint of a training. */
let model: Buffer
let checkpoint: Buffer
beforeAll(async () => {
  net = await smallNet({ classNames: ['zero', 'one', 'two', 'three', 'four'], meanRgb: [100, 120] })
  await save(net, file)
  model = readFileSync(file)
  const trained = await stripesNet({ threads: 1, width: 0.02, headWidth: 4 })
  const options = { validation: stripes(8, 2), epochs: 1, batch: 8, learningRate: 0.01, checkpoint: { folder } }
  checkpoint = readFileSync((await train(trained, stripes(16, 1), options)).checkpoint ?? '')
  trained.dispose()
})
afterAll(() => {
  net.dispose()
  rmSync(folder, { recursive: true })
})

const headerBytes = (bytes: Buffer): number => 8 + Number(bytes.readBigUInt64LE())

/** Bits at random, half of them in the header. */
function bitsOf(bytes: Buffer, random: Random): number[] {
  const header = 8 * headerBytes(bytes)
  const inHeader = Array.from({ length: 250 }, () => random.integer(header))
  return [...inHeader, ...inHeader.map(() => header + random.integer(8 * bytes.length - header))]
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[bit >> 3] ^= 1 << (bit & 7)
  return copy
}

/** The name of the tensor that holds a byte; undefined in the header. */
function tensorAt(bytes: Buffer, byte: number): string | undefined {
  const start = headerBytes(bytes)
  const { __metadata__: _, ...entries } = JSON.parse(bytes.toString('utf8', 8, start))
  const offset = byte - start
  return Object.keys(entries).find((name) => {
    const [begin, end] = entries[name].data_offsets
    return begin <= offset && offset < end
  })
}

describe.each<[string, () => Buffer, (path: string) => Promise<unknown>]>([
  ['a model', () => model, (path) => load(path, here)],
  ['a checkpoint', () => checkpoint, checkWhole],
])('%s', (_, whole, open) => {
  test('with any bit flipped is refused, and the error names the tensor or the header', async () => {
    const bytes = whole()
    for (const bit of bitsOf(bytes, new Random(7))) {
      writeFileSync(file, flipped(bytes, bit))
      const error = await open(file).then(
        () => undefined,
        (error) => error,
      )
      const tensor = tensorAt(bytes, bit >> 3)
      const where = `bit ${bit & 7} of byte ${bit >> 3} (${tensor ?? 'header'})`
      expect(error, where).toMatchObject({ code: 'FILE_FORMAT' })
      if (tensor !== undefined) expect(error.message, where).toContain(`The tensor ${tensor} does not agree`)
    }
  })

  test('keeps its version and its old checksum, so that an older vggnet reads it', async () => {
    const bytes = whole()
    const { metadata } = decode(bytes)
    const { version, model, run, training, checksum } = metadata
    expect(version).toBe(training === undefined ? '1' : '2')
    const texts = zlib.crc32(JSON.stringify([model, run, training]))
    const expected = zlib.crc32(bytes.subarray(headerBytes(bytes)), texts)
    expect(checksum).toBe(expected.toString(16).padStart(8, '0'))
  })

  test('with one of its checksums taken away is refused', async () => {
    const { tensors, metadata } = decode(whole())
    for (const key of ['checksum', 'checksums', 'headerChecksum']) {
      const { [key]: _, ...others } = metadata
      writeFileSync(file, encode(tensors, others))
      await expect(open(file)).rejects.toMatchObject({
        code: 'FILE_FORMAT',
        message: expect.stringMatching(/The header does not agree with its checksum/),
      })
    }
  })
})

/** The warnings of the process while `act` runs. */
async function warningsOf(act: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = []
  const note = ({ name, message }: Error) => void warnings.push(`${name}: ${message}`)
  process.on('warning', note)
  try {
    await act()
    await new Promise((resolve) => setImmediate(resolve))
    return warnings
  } finally {
    process.off('warning', note)
  }
}

describe('a file of an older vggnet', () => {
  test('a model has no checksums: it is loaded, and a warning says that it could not be verified', async () => {
    const { tensors, metadata } = decode(model)
    writeFileSync(file, unsealed(tensors, metadata))
    const warning = `${file} has no checksums and could not be verified; save writes a model with them`
    const found = await warningsOf(async () => {
      const loaded = await load(file, here)
      expect(await parametersOfNet(loaded)).toEqual(await parametersOfNet(net))
      loaded.dispose()
    })
    expect(found).toEqual([`VggFileWarning: ${warning}`])
    // on the command line it is a line on stderr
    const { stderr } = await vggnet(['classify', file, 'image.png', '--device', 'cpu'])
    expect(stderr).toMatch(new RegExp(`^vggnet: ${warning}\nvggnet: SHAPE_MISMATCH: .*\n$`))
  })

  test('a checkpoint has one of all tensors, which load and loadTraining verify', async () => {
    const { tensors, metadata } = decode(checkpoint)
    const { checksums: _, headerChecksum: __, ...older } = metadata
    const bytes = Buffer.from(encode(tensors, older))
    const opening = [
      async () => (await load(file, here)).dispose(),
      async () => (await loadTraining(file, here)).net.dispose(),
      () => checkWhole(file),
    ]
    for (const open of opening) {
      writeFileSync(file, bytes)
      expect(await warningsOf(open)).toEqual([])
      // of the first tensor and of the last
      for (const byte of [headerBytes(bytes), bytes.length - 1]) {
        writeFileSync(file, flipped(bytes, 8 * byte))
        await expect(open()).rejects.toMatchObject({
          code: 'FILE_FORMAT',
          message: expect.stringMatching(/The tensors do not agree with the checksum of the file: it is damaged/),
        })
      }
    }
    writeFileSync(file, unsealed(tensors, metadata))
    await expect(checkWhole(file)).rejects.toMatchObject({
      message: expect.stringMatching(/found none: it is damaged/),
    })
  })
})

test('load verifies the parameters of a checkpoint, and does not read the rest', async () => {
  const bytes = Buffer.from(checkpoint)
  const { tensors, metadata } = decode(bytes)
  const velocity = tensors.findIndex(({ name }) => name === 'velocity/conv1_1.weight')
  expect(velocity).toBeGreaterThan(0)
  const start = headerBytes(bytes)
  const at = start + JSON.parse(bytes.toString('utf8', 8, start))['velocity/conv1_1.weight'].data_offsets[0]
  writeFileSync(file, flipped(bytes, 8 * at))
  const loaded = await load(file, here)
  expect(await parametersOfNet(loaded)).toMatchObject({
    'conv1_1.weight': tensors.find(({ name }) => name === 'conv1_1.weight')?.data,
  })
  loaded.dispose()
  await expect(checkWhole(file)).rejects.toThrow(/The tensor velocity\/conv1_1.weight does not agree/)
  expect(Buffer.from(await sealed(tensors, metadata)).equals(checkpoint)).toBe(true)
})
