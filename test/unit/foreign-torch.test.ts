import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { elementCount } from '../../lib/tensor.js'
import { openWeightFile } from '../../lib/weights/containers/containers.js'
import type { ForeignTensor, WeightFile } from '../../lib/weights/containers/weight-file.js'
import { goldenParameters, readGolden } from '../reference/golden.js'

const path = (name: string): string => fileURLToPath(new URL(`../golden/foreign/${name}`, import.meta.url))

/** All tensors of an open file, read in its order in pieces of at most `piece` elements; and its hash. */
async function valuesOf(file: WeightFile, piece = 1000) {
  const values = new Map<string, Float32Array>()
  for (const tensor of file.tensors) {
    const all = new Float32Array(elementCount(tensor.shape))
    for (let at = 0; at < all.length; at += piece) await file.read(tensor, all.subarray(at, at + piece), at)
    values.set(tensor.name, all)
  }
  return { values, hash: await file.digest() }
}

async function opened<T>(name: string, use: (file: WeightFile) => Promise<T>): Promise<T> {
  const file = await openWeightFile(path(name))
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

const hashOf = (name: string): string =>
  createHash('sha256')
    .update(readFileSync(path(name)))
    .digest('hex')

/** Bits of the mantissa of each type with the hidden one, and the smallest number that it holds. */
const precision = { F32: [24, 2 ** -149], F16: [11, 2 ** -24], BF16: [8, 2 ** -133] } as const

/** The value rounded to the nearest of the type, ties to even. */
function rounded(value: number, type: keyof typeof precision): number {
  const [bits, least] = precision[type]
  const unit = Math.max(least, 2 ** (Math.floor(Math.log2(Math.abs(value))) + 1 - bits))
  const whole = Math.floor(value / unit)
  const rest = value / unit - whole
  return value === 0 ? 0 : (whole + (rest > 0.5 || (rest === 0.5 && whole % 2 !== 0) ? 1 : 0)) * unit
}

// names of torchvision in the order of the layers
const featuresA = [0, 3, 6, 8, 11, 13, 16, 18]
const featuresD = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
const named = (stems: readonly string[]) => stems.flatMap((stem) => [`${stem}.weight`, `${stem}.bias`])
const torchvision = (features: readonly number[], prefix = '') =>
  named([...features.map((i) => `${prefix}features.${i}`), ...[0, 3, 6].map((i) => `${prefix}classifier.${i}`)])
const timm = named([...featuresA.map((i) => `features.${i}`), 'pre_logits.fc1', 'pre_logits.fc2', 'head.fc'])

type Row = [
  name: string,
  type: keyof typeof precision,
  names: readonly string[],
  golden: string,
  form?: 'zip' | 'stream' | 'tar',
]

const files: Row[] = [
  ['torchvision-D-stream.pth', 'F32', torchvision(featuresD), 'torchvision-D', 'stream'],
  ['torchvision-A-nested.pth', 'F32', torchvision(featuresA, 'module.'), 'torchvision-A', 'zip'],
  ['torchvision-A-tar.pth', 'F32', torchvision(featuresA), 'torchvision-A', 'tar'],
  ['torchvision-A-shared.pth', 'F32', torchvision(featuresA), 'torchvision-A', 'zip'],
  ['torchvision-A-half.pth', 'F16', torchvision(featuresA), 'torchvision-A', 'zip'],
  ['torchvision-A-bfloat16.pth', 'BF16', torchvision(featuresA), 'torchvision-A', 'stream'],
  ['timm-A.safetensors', 'F32', timm, 'timm-A'],
  ['timm-A-half.safetensors', 'F16', timm, 'timm-A'],
  ['timm-A-bfloat16.safetensors', 'BF16', timm, 'timm-A'],
]

describe('files of PyTorch', () => {
  it.each(files)('%s', async (name, type, names, golden, form) => {
    const parameters = [...goldenParameters(readGolden(`foreign/${golden}-results`).case)]
    await opened(name, async (file) => {
      expect(file.container).toBe(form === undefined ? 'safetensors' : 'torch')
      expect(file.metadata.form).toBe(form)
      expect(file.tensors.map((tensor) => tensor.type)).toEqual(names.map(() => type))
      expect(file.tensors.map((tensor) => tensor.name).sort()).toEqual([...names].sort())
      const { values, hash } = await valuesOf(file)
      expect(hash).toBe(hashOf(name))
      for (const [index, { data, shape }] of parameters.entries()) {
        const found = file.tensors.find((tensor) => tensor.name === names[index])
        expect(elementCount(found?.shape ?? [])).toBe(elementCount(shape))
        expect(values.get(names[index])).toEqual(data.map((value) => rounded(value, type)))
      }
    })
  })

  const protocols = [1, 2, 3, 4, 5].flatMap((protocol) => [`protocol-${protocol}-zip`, `protocol-${protocol}-stream`])
  it.each(protocols)('%s, with other types', async (name) => {
    await opened(`${name}.pth`, async (file) => {
      const facts = file.tensors.map((tensor) => [tensor.name, tensor.type, tensor.shape])
      expect(facts.sort()).toEqual([
        ['bias', 'F32', [2]],
        ['count', 'I64', []],
        ['double', 'F64', [2, 1]],
      ])
      const values = new Map<string, number[]>()
      for (const tensor of file.tensors.filter(({ type }) => type !== 'I64')) {
        const into = new Float32Array(2)
        await file.read(tensor, into, 0)
        values.set(tensor.name, [...into])
      }
      expect(values.get('bias')).toEqual([1.5, -2])
      expect(values.get('double')).toEqual([Math.fround(0.1), Number.POSITIVE_INFINITY])
      const [count] = file.tensors.filter(({ type }) => type === 'I64')
      await expect(file.read(count as ForeignTensor, new Float32Array(1), 0)).rejects.toThrow(
        /'count' has the type I64, which is not read; read are F32, F16, BF16, F64/,
      )
    })
  })
})
