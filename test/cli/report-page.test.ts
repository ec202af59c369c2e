import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Dataset } from '../../lib/data/dataset.js'
import { evaluate } from '../../lib/evaluate/evaluate.js'
import type { ReportData } from '../../lib/report/page.js'
import { classifyAll, collectReport, writeReport } from '../../lib/report/report.js'
import { RunLog } from '../../lib/report/run-log.js'
import { Tensor } from '../../lib/tensor.js'
import { train } from '../../lib/train/trainer.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { findBrowser, screenshot, see } from '../setup/browser.js'
import { smallNet, stripes } from '../setup/stripes.js'

const hostile = '<script>document.title = "ran"</script>'
const classNames = [
  'lying',
  hostile,
  'a class with a name that is very long_and_has_no_place_to_break_it_at_all_anywhere',
]
const torn = 11

/** Stripes as a folder of images would give them: named by their paths, one of them unreadable. */
function asImages(data: Dataset): Dataset {
  return {
    ...data,
    classNames,
    async read(indices, into) {
      await data.read(indices, into)
      const positions = [...indices.keys()].filter((position) => indices[position] === torn)
      for (const position of positions) into.fill(0, position * 1024, (position + 1) * 1024)
      return positions.map((position) => ({ position, name: 'val/torn"><b>.jpg', reason: 'ends after 120 bytes' }))
    },
    nameOf: (index) => `val/${hostile}/a_long_name_without_a_single_space_in_it_${index}.jpg`,
  }
}

const browser = findBrowser()
const training = stripes(60, 1)
const validation = asImages(stripes(50, 2))
let run = ''
let net: VGG
let data: ReportData

beforeAll(async () => {
  run = await mkdtemp(path.join(tmpdir(), 'vggnet-report-'))
  net = await smallNet({ classNames })
  const log = await RunLog.open(path.join(run, 'log.jsonl'), { everySteps: 1 })
  const facts = { model: 'VGG A', data: hostile, device: net.device, precision: net.precision, classes: 3 }
  log.start({
    ...facts,
    training: 60,
    validation: 50,
    epochs: 3,
    batch: 20,
    command: `vggnet train ${'x'.repeat(200)}`,
  })
  const options = { epochs: 3, batch: 20, learningRate: 0.005, schedule: { kind: 'step', every: 1 } } as const
  const report = await train(net, training, { ...options, validation, ...log.callbacks })
  log.end(report)
  log.close()
  data = await collectReport(run, { net, validation, modelName: 'model.safetensors', batch: 16 })
})
afterAll(async () => {
  net?.dispose()
  await rm(run, { recursive: true })
})

describe('collectReport', () => {
  test('the metrics are those of evaluate', async () => {
    const { unreadable, ...metrics } = await evaluate(net, validation)
    expect(data.evaluation?.metrics).toEqual({ ...metrics, loss: expect.closeTo(metrics.loss, 5) })
    expect(data.evaluation?.unreadable).toMatchObject([{ name: 'val/torn"><b>.jpg', reason: 'ends after 120 bytes' }])
    expect(unreadable).toHaveLength(1)
    expect(metrics.count).toBe(49)
  })

  test('the mistakes are wrongly classified images, most confident first', async () => {
    // all images at once, one by one, by independent arithmetic
    const expected: { index: number; answer: number; probability: number; truthProbability: number }[] = []
    const pixels = new Map<number, Buffer>()
    for (let index = 0; index < validation.count; index++) {
      if (index === torn) continue
      const bytes = new Uint8Array(1024)
      await validation.read(Int32Array.of(index), bytes)
      pixels.set(index, Buffer.from(bytes))
      const logits = (await (await net.forward(Tensor.from(bytes, [1, 32, 32, 1]))).data()) as Float32Array
      const [a = 0, b = 0, c = 0] = logits
      const shares = [1 / (1 + Math.exp(b - a) + Math.exp(c - a)), 1 / (1 + Math.exp(a - b) + Math.exp(c - b))]
      shares.push(1 - (shares[0] ?? 0) - (shares[1] ?? 0))
      const answer = shares.indexOf(Math.max(...shares))
      const truth = validation.labels[index] ?? -1
      const found = { probability: shares[answer] ?? 0, truthProbability: shares[truth] ?? 0 }
      if (answer !== truth) expected.push({ index, answer, ...found })
    }
    expected.sort((a, b) => b.probability - a.probability)
    expect(expected.length).toBeGreaterThan(5)

    const { mistakes } = await classifyAll(net, validation, { batch: 7, mistakes: 1000 })
    expect(mistakes.map(({ index, answer }) => [index, answer])).toEqual(
      expected.map(({ index, answer }) => [index, answer]),
    )
    for (const [position, one] of expected.entries()) {
      expect(mistakes[position]?.probability).toBeCloseTo(one.probability, 4)
      expect(mistakes[position]?.truthProbability).toBeCloseTo(one.truthProbability, 4)
      expect(Buffer.from(mistakes[position]?.pixels ?? [])).toEqual(pixels.get(one.index))
      // of its own memory: a view would keep the batch
      expect(mistakes[position]?.pixels.buffer.byteLength).toBe(1024)
    }
    const few = await classifyAll(net, validation, { batch: 20, mistakes: 3 })
    expect(few.mistakes.map(({ index }) => index)).toEqual(expected.slice(0, 3).map(({ index }) => index))
    expect(data.evaluation?.mistakes[0]).toMatchObject({
      name: validation.nameOf?.(expected[0]?.index ?? -1),
      answer: classNames[expected[0]?.answer ?? -1],
    })
  })

  test('the filters are those of conv1_1', async () => {
    expect(data.filters).toMatchObject({ name: 'conv1_1.weight', channels: 1 })
    expect(data.filters?.images).toHaveLength((await net.parameter('conv1_1.weight')).shape[0] ?? -1)
  })

  test('without a model there are only the curves', async () => {
    const { history, evaluation, filters } = await collectReport(run)
    expect(history.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3])
    expect([evaluation, filters]).toEqual([undefined, undefined])
  })

  test('a model that is not finite has a report with the reason', async () => {
    const broken = await smallNet()
    const { shape } = await broken.parameter('fc8.weight')
    await broken.setParameter('fc8.weight', Tensor.from(new Float32Array(3 * 32).fill(3e38), shape))
    const { evaluation, evaluationError, filters } = await collectReport(run, { net: broken, validation })
    broken.dispose()
    expect(evaluation).toBeUndefined()
    expect(evaluationError).toMatch(/^model: .*finite/)
    expect(filters?.images).not.toHaveLength(0)
  })

  test('rejects a folder without a run, misspelt options, and images of another size', async () => {
    await expect(collectReport(path.join(run, 'nowhere'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(collectReport(run, { mistake: 3 } as object)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    const wide = { ...validation, width: 64, read: async () => [] }
    await expect(collectReport(run, { net, validation: wide })).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    const stop = AbortSignal.abort()
    await expect(collectReport(run, { net, validation, signal: stop })).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

describe.skipIf(browser === undefined)('in a browser', () => {
  const looks = [
    { width: 1200, scheme: 'light' },
    { width: 390, scheme: 'dark' },
  ] as const

  test.each(looks)('$width pixels wide, $scheme: no overflow, no broken image, no script', async (look) => {
    const file = await writeReport(run, data)
    const seen = await see(browser ?? '', await readFile(file, 'utf8'), run, look)
    expect(seen).toMatchObject({
      console: [],
      broken: [],
      stickingOut: [],
      visibleWidth: look.width,
      width: look.width,
    })
    // each mistake has its image and its Grad-CAM
    expect(seen.images).toBe(2 * (data.evaluation?.mistakes.length ?? 0) + (data.filters?.images.length ?? 0))
    expect(seen.title).toBe(`VGG A on ${hostile} \u00b7 vggnet`)
    expect(seen.height).toBeGreaterThan(1500)
    const [back, front] = [seen.background, seen.colour].map((text) => Number(/\d+/.exec(text)?.[0]))
    if (look.scheme === 'dark') expect(back).toBeLessThan(40)
    else expect(back).toBeGreaterThan(240)
    expect(Math.abs((back ?? 0) - (front ?? 0))).toBeGreaterThan(180)
  })

  test('these tests detect overflow, broken images and scripts', async () => {
    const page = await readFile(await writeReport(run, data), 'utf8')
    const spoilt = `<script>document.title = "ran"</script><img src="data:image/png;base64,AAAA" alt="spoilt">
      <p class="far" style="width:3000px">x</p></main>`
    const seen = await see(
      browser ?? '',
      page.replace('</main>', () => spoilt),
      run,
      { width: 390, scheme: 'light' },
    )
    expect(seen.console.join()).toMatch(/Content Security Policy/)
    expect(seen.title).not.toBe('ran')
    expect(seen).toMatchObject({ broken: ['spoilt'], stickingOut: ['P.far'] })
    expect(seen.width).toBeGreaterThan(3000)
  })

  test.each(looks)('a screenshot, $width pixels wide, $scheme', async (look) => {
    const file = await writeReport(run, data)
    const image = await screenshot(browser ?? '', file, run, {
      ...look,
      width: Math.max(600, look.width),
      height: 1600,
    })
    const { data: pixels, info } = await sharp(image).removeAlpha().raw().toBuffer({ resolveWithObject: true })
    expect(info.height).toBe(1600)
    const colours = new Set<number>()
    for (let at = 0; at < pixels.length; at += 3) colours.add(pixels.readUIntBE(at, 3))
    expect(colours.size).toBeGreaterThan(200)
    const [corner = 0] = pixels
    if (look.scheme === 'dark') expect(corner).toBeLessThan(40)
    else expect(corner).toBeGreaterThan(240)
  })
})
