import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { imagesChecked } from '../../lib/check/layers.js'
import { preflight } from '../../lib/check/preflight.js'
import { type PreflightOptions, type PreflightReport, preflightLines } from '../../lib/check/preflight-report.js'
import { subset } from '../../lib/data/derived.js'
import { describe as describeNetwork } from '../../lib/network/describe.js'
import { fittingBatch, microBatchFor, networkNeeds } from '../../lib/network/fitting-batch.js'
import { Tensor } from '../../lib/tensor.js'
import { layersOf } from '../../lib/vgg/configuration.js'
import type { VariantLetter } from '../../lib/vgg/variants.js'
import { smallNet, stripes } from '../setup/stripes.js'
import { checked, pixelsOf, quarter } from './checked.js'

describe('activations', () => {
  it("of D with the paper's initialisation are dead, and the finding names the fix", async () => {
    const { activations, fatal } = await checked({ ...quarter, initialisation: 'paper' })
    expect(activations?.layers.at(-1)).toMatchObject({ layer: 'fc8', state: 'dead' })
    expect(activations?.layers[0]).toMatchObject({ layer: 'conv1_1', state: 'fine' })
    expect(activations?.logitsRms).toBeLessThan(1e-10)
    expect(fatal.join()).toMatch(
      /is dead .*loss would stay at ln\(3\) = 1\.1: use --initialisation glorot, or --plan paper-transplant/,
    )
  })

  it("of D with Glorot's are fine throughout, without a finding", async () => {
    const { activations, gradients, fatal, warnings } = await checked({ ...quarter, initialisation: 'glorot' })
    expect(activations?.layers.map(({ state }) => state)).toEqual(Array(16).fill('fine'))
    expect(gradients?.layers.map(({ state }) => state)).toEqual(Array(16).fill('fine'))
    expect(gradients?.loss).toBeCloseTo(Math.log(3), 1)
    expect([fatal, warnings]).toEqual([[], []])
  })

  it.each<VariantLetter>(['A', 'D'])(
    "of %s with He's on unscaled input explode; scaled they are fine",
    async (variant) => {
      const loud = await checked({ ...quarter, variant, initialisation: 'he', scale: 1 })
      expect(loud.activations?.layers.at(-1)?.state).toBe('exploding')
      expect(loud.fatal.join()).toMatch(/fc8 is exploding .*standard deviation 5\d: use --scale 1\/58/)
      expect(loud.gradients?.layers.at(-1)?.state).toBe('exploding')
      const scaled = await checked({ ...quarter, variant, initialisation: 'he' })
      expect(scaled.activations?.layers.every(({ state }) => state === 'fine')).toBe(true)
      expect(scaled.fatal).toEqual([])
    },
  )

  // a net that learned within 78 steps, and the same a tenth as loud, which did not in 300
  it('of networks that train and of networks that do not have different states', async () => {
    const half = { ...quarter, variant: 'A', width: 0.5, headWidth: 2048, seed: 2, initialisation: 'paper' } as const
    const loud = await checked({ ...half, scale: 1000 })
    expect(loud.activations?.layers.at(-1)).toMatchObject({ state: 'fine' })
    const faint = await checked({ ...half, scale: 100 })
    expect(faint.activations?.layers.at(-1)).toMatchObject({ state: 'vanishing' })
    expect(faint.warnings.join()).toMatch(/vanishing/)
  })

  it('that are 0 for every image are dead, by their channels', async () => {
    using net = await smallNet()
    const { shape } = await net.parameter('conv4_1.bias')
    await net.setParameter('conv4_1.bias', Tensor.from(new Float32Array(shape[0] ?? 0).fill(-1e4), shape))
    const { activations, fatal } = await preflight(net, { training: stripes(40, 1), batch: 8 })
    const layer = activations?.layers.find((one) => one.layer === 'conv4_1')
    expect(layer).toMatchObject({ rms: 0, zeros: 1, deadChannels: 1, state: 'dead' })
    expect(fatal.join()).toMatch(/conv4_1 is dead/)
  })

  it('are computed on fewer images where they take long or do not fit', () => {
    const large = (variant: VariantLetter) =>
      ({ layers: layersOf({ variant, classes: 1000 }), channels: 3, imageSize: [224, 224] }) as const
    expect(imagesChecked({ ...large('D'), device: 'cpu' }, 500)).toBe(8)
    expect(imagesChecked({ ...large('A'), device: 'cpu' }, 500)).toBe(13)
    expect(imagesChecked({ ...large('D'), device: 'cuda:0' }, 500)).toBe(32)
    expect(imagesChecked({ ...large('D'), device: 'cuda:0' }, 5)).toBe(5)
  })

  it('agree with an independent computation', async () => {
    using net = await smallNet()
    const data = stripes(8, 3)
    const { activations } = await preflight(net, { training: data, batch: 8, learningRate: 1e-9 })
    const images = Tensor.from(await pixelsOf(data), [8, 32, 32, 1])
    const { relu2_1 } = await net.features(images, ['relu2_1'])
    const values = Array.from((await relu2_1?.data()) ?? [])
    const layer = activations?.layers.find((one) => one.layer === 'conv2_1')
    expect(activations?.images).toBe(8)
    expect(layer?.rms).toBeCloseTo(Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length), 4)
    expect(layer?.zeros).toBeCloseTo(values.filter((value) => value === 0).length / values.length, 3)
  })
})

describe('memory', () => {
  it('is what describe says, and the largest batch is the last that is within it', async () => {
    using net = await smallNet()
    const bytes = (batch: number): number =>
      describeNetwork({ layers: net.layers, shape: [batch, 1, 32, 32], training: true, device: 'cpu' }).totalBytes
    const { memory } = await checked({}, { batch: 32, memoryLimit: bytes(20) })
    expect(memory).toMatchObject({ batch: 32, bytes: bytes(32), available: bytes(20) })
    expect(bytes(memory.largestBatch)).toBeLessThanOrEqual(bytes(20))
    expect(bytes(memory.largestBatch + 1)).toBeGreaterThan(bytes(20))
    expect(memory.microBatch).toBe(16)
    const needs = networkNeeds(net, net.imageSize)
    expect(fittingBatch({ ...needs, training: true, memoryLimit: bytes(20) }).batch).toBe(memory.largestBatch)
    expect(microBatchFor(32, { ...needs, memoryLimit: bytes(20) })).toBe(16)
    expect(microBatchFor(32, needs)).toBe(32)
  })

  it('that does not hold the batch is fatal, unless a micro-batch fits', async () => {
    using net = await smallNet()
    const shape = [20, 1, 32, 32]
    const memoryLimit = describeNetwork({ layers: net.layers, shape, training: true, device: 'cpu' }).totalBytes
    const whole = await checked({ memoryLimit }, { batch: 32, memoryLimit })
    expect(whole.fatal.join()).toMatch(/32 images at a time do not fit .*use --micro-batch 16/)
    const parts = await checked({ memoryLimit }, { batch: 32, memoryLimit, microBatch: 'auto' })
    expect(parts.fatal).toEqual([])
    expect(parts.speed?.images).toBeLessThanOrEqual(16)
  })

  it('for less than one image ends the check', async () => {
    const report = await checked({}, { memoryLimit: 2e6 })
    expect(report.memory).toMatchObject({ largestBatch: 0, microBatch: 0 })
    expect(report.fatal.join()).toMatch(/training on one image needs/)
    expect(report.activations).toBeUndefined()
    expect(() => preflightLines(report)).not.toThrow()
  })
})

describe('the report', () => {
  it('counts the steps without the images of an epoch that are no whole batch, where these are left out', async () => {
    const data = { training: stripes(40, 1), batch: 16, epochs: 2 }
    expect((await checked({}, data)).steps).toMatchObject({ perEpoch: 3, inAll: 6 })
    expect((await checked({}, { ...data, dropLast: true })).steps).toMatchObject({ perEpoch: 2, inAll: 4 })
  })

  it('estimates the duration from three steps', async () => {
    const { speed } = await checked({}, { training: stripes(128, 1), validation: stripes(30, 2), epochs: 10 })
    expect(speed).toMatchObject({ steps: 3, epochs: 10, images: 32 })
    const { imagesPerSecond = 0, evaluationImagesPerSecond = 0, secondsPerEpoch, secondsInAll } = speed ?? {}
    expect(secondsPerEpoch).toBeCloseTo(128 / imagesPerSecond + 30 / evaluationImagesPerSecond, 6)
    expect(secondsInAll).toBeCloseTo(10 * (secondsPerEpoch ?? 0), 6)
  })

  it('leaves the weights almost unchanged', async () => {
    using net = await smallNet()
    const before = await (await net.parameter('conv3_1.weight')).data()
    const kept = Float32Array.from(before)
    await preflight(net, { training: stripes(64, 1), batch: 32 })
    const after = await (await net.parameter('conv3_1.weight')).data()
    expect(Math.max(...after.map((value, position) => Math.abs(value - (kept[position] ?? 0))))).toBeLessThan(1e-6)
  })

  it('is plain data, and ends with the result', async () => {
    const good = await checked({ ...quarter, initialisation: 'glorot' })
    expect(JSON.parse(JSON.stringify(good)).activations.layers).toEqual(good.activations?.layers)
    // picocolors paints where CI is set
    const plain = (report: PreflightReport) => preflightLines(report).map(stripVTControlCharacters)
    const last = (report: PreflightReport): string => plain(report).at(-1) ?? ''
    expect(last(good)).toMatch(/ready$/)
    expect(plain(good).join('\n')).toMatch(/conv5_3 .*fine .*fine/)
    const bad = await checked({ ...quarter, initialisation: 'paper' })
    expect(last(bad)).toMatch(/not ready/)
    expect(plain(bad).join('\n')).toMatch(/fc8 .*dead/)
  })

  it('counts the steps, by default as train does, and warns where random weights can learn nothing', async () => {
    const few = await checked({ initialisation: 'he' }, { epochs: 2 })
    expect(few.steps).toMatchObject({ batch: 32, epochs: 2, perEpoch: 2, inAll: 4 })
    expect(few.warnings).toEqual([
      expect.stringMatching(/^4 steps in all, .* fewer than 200; use --epochs 100 or more/),
    ])
    expect(preflightLines(few).map(stripVTControlCharacters).at(-1)).toBe('ready, with 1 warning')
    const chosen = await checked({ initialisation: 'he' }, { batch: undefined, epochs: undefined })
    expect(chosen.steps).toEqual({ batch: 32, epochs: 1000, perEpoch: 2, inAll: 2000, findings: [] })
    // trained weights
    expect((await checked({}, { epochs: 2 })).steps.findings).toEqual([])
  })

  it('reports progress', async () => {
    const seen: string[] = []
    await checked(
      {},
      { onProgress: ({ stage, done, of }) => seen.push(done === undefined ? stage : `${stage} ${done}/${of}`) },
    )
    expect(seen).toEqual(['images 64/64', 'activations', 'gradients', 'speed'])
  })
})

describe('bad input', () => {
  const cases: [string, Partial<Record<keyof PreflightOptions, unknown>>, RegExp][] = [
    ['an unknown option', { bacth: 3 } as object, /bacth.*batch/],
    ['a batch of 0', { batch: 0 }, /for batch/],
    ['no data', { training: 3 }, /for training/],
    [
      'images of another size',
      { training: { ...stripes(4, 1), width: 16 } },
      /32x32 with 1 channel for training but they are 32x16/,
    ],
    ['too many classes', { training: { ...stripes(4, 1), classNames: ['a', 'b', 'c', 'd'] } }, /at most 3 classes/],
    ['no images', { training: subset(stripes(4, 1), new Int32Array()) }, /at least one image/],
    ['files of other images', { trainingFiles: { sources: [], names: [], labels: new Int32Array() } }, /64 files/],
  ]
  it.each(cases)('is rejected: %s', async (_, options, words) => {
    await expect(checked({}, options as Partial<PreflightOptions>)).rejects.toThrow(words)
  })

  it('an aborted signal ends the check', async () => {
    const controller = new AbortController()
    const onProgress: PreflightOptions['onProgress'] = ({ stage }) => stage === 'activations' && controller.abort()
    const ended = checked({}, { signal: controller.signal, onProgress: (now) => void onProgress?.(now) })
    await expect(ended).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
