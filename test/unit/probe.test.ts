import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  lbfgs,
  loadProbe,
  type ProbeData,
  type ProbeOptions,
  probe,
  probeScores,
  readFeatures,
  saveProbe,
  Tensor,
} from '../../lib/index.js'
import { readSamples } from '../../lib/probe/samples.js'
import { programMistakes } from '../mistakes/mistake.js'
import { featureRows, writeFeatureRows } from '../setup/feature-rows.js'
import { newFolder } from '../setup/folder.js'

const [count, columns, classes] = [90, 6, 3]
const { values, labels, classNames } = featureRows(count, columns, classes)
const data: ProbeData = { features: Tensor.from(values, [count, columns]), labels, classNames }
const one = { c: 1, validation: 0 } as const

describe('a linear classifier', () => {
  test('is the same for features of more axes, and rows without a class are left out', async () => {
    const { model } = await probe(data, one)
    const more = new Float32Array(values.length + columns).fill(1e6)
    more.set(values)
    const features = Tensor.from(more, [count + 1, 2, columns / 2])
    const found = await probe({ ...data, features, labels: Int32Array.of(...labels, -1) }, one)
    expect(found.unlabelled).toBe(1)
    expect(await found.model.weight.data()).toEqual(await model.weight.data())
  })

  test('a weight of 2 is a row twice', async () => {
    const weights = new Float64Array(count).fill(1)
    weights[0] = 2
    const { model } = await probe({ ...data, weights }, one)
    const twice = Tensor.from(Float32Array.of(...values, ...values.subarray(0, columns)), [count + 1, columns])
    const other = await probe({ features: twice, labels: Int32Array.of(...labels, 0), classNames }, one)
    const [a, b] = [await model.weight.data(), await other.model.weight.data()]
    for (const [index, value] of a.entries()) expect(value).toBeCloseTo(b[index] ?? 0, 5)
    expect(a).not.toEqual(await (await probe(data, one)).model.weight.data())
  })

  test('classes without rows take no part', async () => {
    const found = await probe({ ...data, classNames: ['a', 'b', 'c', 'none'] }, one)
    expect(found.model.classNames).toEqual(['a', 'b', 'c'])
    expect(found.training.perClass.map(({ name, count: rows }) => [name, rows])).toEqual([
      ['a', 30],
      ['b', 30],
      ['c', 30],
    ])
  })

  test('its results on held-out rows are those of its scores', async () => {
    const heldOut = Int32Array.from({ length: 30 }, (_, index) => 3 * index + (index % 3))
    const found = await probe(data, { heldOut, c: 1, standardise: true })
    const rows = heldOut.length
    const own = Float32Array.from(
      [...heldOut].flatMap((row) => [...values.subarray(row * columns, (row + 1) * columns)]),
    )
    const scores = await (await probeScores(found.model, Tensor.from(own, [rows, columns]))).data()
    const right = [...heldOut].filter((row, index) => {
      const of = [...scores.subarray(index * classes, (index + 1) * classes)]
      return of.indexOf(Math.max(...of)) === labels[row]
    })
    expect(found.heldOut).toMatchObject({ count: 30, accuracy: right.length / 30 })
    expect(found.training.count).toBe(60)
    // the same rows as a set of its own, with its classes in another order
    const turned = { features: Tensor.from(own, [rows, columns]), classNames: [...classNames].reverse() }
    const test = { ...turned, labels: heldOut.map((row) => classes - 1 - (labels[row] ?? 0)) }
    const kept = labels.map((label, row) => (heldOut.includes(row) ? -1 : label))
    const apart = await probe({ ...data, labels: kept }, { test, c: 1, standardise: true })
    expect(apart.heldOut?.confusion).toEqual(found.heldOut?.confusion)
  })

  test('the random part has the same share of each class and stratum', async () => {
    const strata = Array.from(labels, (_, row) => (row % 2 === 0 ? 'even' : 'odd'))
    const whole = { ...data, labels: labels.map((_, row) => Math.floor(row / 30)), strata }
    const found = await probe(whole, { c: 1, validation: 0.2, seed: 3 })
    expect(found.heldOut?.perClass.map(({ count: rows }) => rows)).toEqual([6, 6, 6])
    const again = await probe(whole, { c: 1, validation: 0.2, seed: 3 })
    expect(again.heldOut?.confusion).toEqual(found.heldOut?.confusion)
  })

  test('reports each fit, and ends by its signal', async () => {
    const seen: number[][] = []
    const options: ProbeOptions = { c: [1, 0.1], folds: 3, onProgress: ({ done, of }) => void seen.push([done, of]) }
    const { tried } = await probe(data, options)
    expect(tried.map(({ c, accuracies }) => [c, accuracies.length])).toEqual([
      [0.1, 3],
      [1, 3],
    ])
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7].map((done) => [done, 7]))
    const controller = new AbortController()
    const ended = probe(data, { ...options, signal: controller.signal, onProgress: () => controller.abort() })
    await expect(ended).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('is saved and loaded', async () => {
    const file = path.join(newFolder(), 'probe.safetensors')
    const { model } = await probe(data, { c: 0.1, standardise: true, classifier: 'svm' })
    await saveProbe(file, model)
    expect(await loadProbe(file)).toEqual(model)
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.subarray(0, -4))
    await expect(loadProbe(file)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    await writeFeatureRows(file, [6, 2, 2])
    await expect(loadProbe(file)).rejects.toThrow(/linear classifier that vggnet saved/)
  })
})

const nan = Float32Array.from(values)
nan[columns + 2] = Number.NaN
const labelled = (given: number) => new Int32Array(count).fill(given)
const few = labels.map((label, row) => (label === 2 && row > 10 ? -1 : label))

programMistakes('features that no classifier is fitted to', [
  {
    name: 'one class',
    make: () => probe({ ...data, labels: labelled(1) }),
    code: 'INVALID_ARGUMENT',
    problem: ['two classes', 'class-1'],
    cure: [],
  },
  {
    name: 'no class',
    make: () => probe({ ...data, labels: labelled(-1) }),
    code: 'INVALID_ARGUMENT',
    problem: ['no row has a class'],
    cure: [],
  },
  {
    name: 'NaN',
    make: () => probe({ ...data, features: Tensor.from(nan, [count, columns]) }),
    code: 'NOT_FINITE',
    problem: ['row 1', 'NaN', 'column 2'],
    cure: [],
  },
  {
    name: 'fewer rows than folds',
    make: () => probe({ ...data, labels: few }, { validation: 0 }),
    code: 'INVALID_ARGUMENT',
    problem: ['class-2 has 3'],
    cure: ['use fewer folds'],
  },
  {
    name: 'a class that is only held out',
    make: () => probe(data, { heldOut: Int32Array.from(labels.keys()).filter((row) => labels[row] === 2) }),
    code: 'INVALID_ARGUMENT',
    problem: ['class-2'],
    cure: ['hold out fewer'],
  },
  {
    name: 'other columns for test',
    make: () =>
      probe(data, {
        test: { ...data, features: Tensor.from(values, [count / 2, 2 * columns]), labels: labels.slice(0, count / 2) },
      }),
    code: 'SHAPE_MISMATCH',
    problem: ['received 12'],
    cure: ['Expected 6 columns'],
  },
  {
    name: 'two divisions',
    make: () => probe(data, { validation: 0.1, test: data }),
    code: 'INVALID_ARGUMENT',
    problem: ['only one of'],
    cure: [],
  },
  {
    name: 'a weight of 0',
    make: () => probe({ ...data, weights: new Float64Array(count) }),
    code: 'INVALID_ARGUMENT',
    problem: ['weights[0]'],
    cure: ['a number above 0'],
  },
  {
    name: 'a label too large',
    make: () => probe({ ...data, labels: labelled(3) }),
    code: 'INVALID_ARGUMENT',
    problem: ['labels[0]'],
    cure: ['from -1 to 2'],
  },
  {
    name: 'labels too few',
    make: () => probe({ ...data, labels: labels.slice(1) }),
    code: 'SHAPE_MISMATCH',
    problem: ['89'],
    cure: ['90 rows'],
  },
  {
    name: 'C of 0',
    make: () => probe(data, { c: [1, 0] }),
    code: 'INVALID_ARGUMENT',
    problem: ['c[1]'],
    cure: ['a number above 0'],
  },
  {
    name: 'no values of C',
    make: () => probe(data, { c: [] }),
    code: 'INVALID_ARGUMENT',
    problem: ['for c'],
    cure: ['at least one number'],
  },
  {
    name: 'a row that is not there',
    make: () => probe(data, { heldOut: Int32Array.of(90) }),
    code: 'INVALID_ARGUMENT',
    problem: ['heldOut', '90'],
    cure: ['rows below 90'],
  },
])

describe('a table of samples', () => {
  const tableOf = (text: string): string => {
    const file = path.join(newFolder(), 'samples.csv')
    writeFileSync(file, text)
    return file
  }

  test('weights, parts and strata are found by name, or by the path from its folder', async () => {
    const file = tableOf('path,label,weight,stratum,part\nb.png,x,0.5,mono,training\na.png,y,1,poly,validation\n')
    const names = ['a.png', path.join(path.dirname(file), 'b.png')]
    const found = await readSamples(file, names)
    expect(found).toEqual({ weights: Float64Array.of(1, 0.5), strata: ['poly', 'mono'], heldOut: Int32Array.of(0) })
    expect(await readSamples(tableOf('file;weight\na.png;2\n'), ['a.png'])).toEqual({ weights: Float64Array.of(2) })
  })

  test.each([
    ['no header', 'a.png,1\n', /line 1: Expected a header/],
    ['a header without a part', 'path,label\na.png,x\n', /line 1: Expected a header/],
    ['no line for a row', 'path,weight\nb.png,1\n', /Expected a line for a\.png/],
    ['a weight of 0', 'path,weight\na.png,0\n', /line 2: Expected a number above 0 for weight but found '0'/],
    ['another part', 'path,part\na.png,test\n', /line 2: Expected training or validation for part but found 'test'/],
    ['a file twice', 'path,part\na.png,training\n./a.png,training\n', /line 3: Expected each file once .* line 2/],
    ['another number of fields', 'path,part\na.png\n', /line 2: Expected 2 fields but found 1/],
    ['nothing', '', /it is empty/],
  ])('is refused: %s', async (_, text, message) => {
    const found = readSamples(tableOf(text), ['a.png'])
    await expect(found).rejects.toMatchObject({ code: 'FILE_FORMAT', message: expect.stringMatching(message) })
  })
})

test('features of a file are read as they were written', async () => {
  const file = path.join(newFolder(), 'features.safetensors')
  await writeFeatureRows(file, [700, 5, 3])
  const found = await readFeatures(file)
  expect(await found.features.data()).toEqual(featureRows(700, 5, 3).values)
  expect(found).toMatchObject({ classNames, labels: featureRows(700, 5, 3).labels })
  expect(found.names[699]).toBe('699.png')
})

test('L-BFGS finds the minimum of a curved valley', async () => {
  const valley = async ([x = 0, y = 0]: Float64Array) => ({
    loss: (1 - x) ** 2 + 100 * (y - x * x) ** 2,
    gradient: Float64Array.of(-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)),
  })
  const found = await lbfgs(Float64Array.of(-1.2, 1), valley, { iterations: 200, step: 0.1, tolerance: 1e-9 })
  expect(found.converged).toBe(true)
  expect(found.point[0]).toBeCloseTo(1, 8)
  expect(found.point[1]).toBeCloseTo(1, 8)
  const { iterations, converged } = await lbfgs(Float64Array.of(-1.2, 1), valley, {
    iterations: 3,
    step: 0.1,
    tolerance: 1e-9,
  })
  expect({ iterations, converged }).toEqual({ iterations: 3, converged: false })
})
