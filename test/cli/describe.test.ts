import { describe, expect, test } from 'vitest'
import { vggnet } from '../setup/command.js'

/** The object that `vggnet describe ... --json` prints. */
async function described(...words: string[]) {
  const { code, stdout, stderr } = await vggnet(['describe', ...words, '--json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

describe('vggnet describe', () => {
  test('D with 1000 classes: parameters, layers, bytes, operations', async () => {
    const json = await described('--variant', 'D', '--classes', '1000')
    expect(json).toMatchObject({ variant: 'D', classes: 1000, parameters: 138_357_544, input: [1, 3, 224, 224] })
    expect(json.operations / 1e9).toBeCloseTo(15.47, 2)
    expect(json.bytes).toBeGreaterThan(4 * 138_357_544)
    const { parameters, gradientsAndVelocity, activationsAndWorkspace } = json.memory
    expect(parameters + gradientsAndVelocity + activationsAndWorkspace).toBe(json.bytes)
    const names: string[] = json.layers.map(({ name }: { name: string }) => name)
    expect(names).toEqual(expect.arrayContaining(['conv1_1', 'conv5_1', 'fc6', 'fc7', 'fc8']))
    const sum = (field: string): number =>
      json.layers.reduce((total: number, layer: Record<string, number>) => total + (layer[field] ?? 0), 0)
    expect(sum('parameters')).toBe(json.parameters)
    expect(sum('operations')).toBe(json.operations)
    expect(json.layers.at(-1)).toMatchObject({ name: 'fc8', output: [1, 1000, 1, 1], parameters: 4_097_000 })
  })

  test('training takes more than evaluation, and grows with the batch', async () => {
    const small = ['--variant', 'A', '--image-size', '32', '--channels', '1', '--classes', '10', '--head-width', '512']
    const evaluation = await described(...small, '--batch', '8')
    const training = await described(...small, '--batch', '8', '--training')
    const larger = await described(...small, '--batch', '64', '--training')
    expect(training.bytes).toBeGreaterThan(3 * evaluation.memory.parameters)
    expect(training.memory.activationsAndWorkspace).toBeGreaterThan(evaluation.memory.activationsAndWorkspace)
    expect(larger.memory.activationsAndWorkspace).toBeGreaterThan(2 * training.memory.activationsAndWorkspace)
    expect(larger.operations).toBe(8 * training.operations)
  })

  test('width and a size that is not square', async () => {
    const json = await described('--image-size', '64x96', '--width', '0.25', '--head-width', '32', '--classes', '5')
    expect(json.input).toEqual([1, 3, 64, 96])
    const conv = json.layers.find(({ name }: { name: string }) => name.startsWith('conv1_1'))
    expect(conv.output[1]).toBe(16)
    const fc6 = json.layers.find(({ name }: { name: string }) => name === 'fc6')
    expect(fc6.parameters).toBe(128 * 2 * 3 * 32 + 32)
  })

  test('without a head: the blocks only, for any size', async () => {
    const json = await described('--variant', 'D', '--head', 'none', '--image-size', '97x131')
    expect(json).toMatchObject({ classes: 0, parameters: 14_714_688, input: [1, 3, 97, 131] })
    expect(json.layers.at(-1)).toMatchObject({ name: 'pool5', output: [1, 512, 3, 4] })
  })

  test('the text is a table with totals', async () => {
    const { code, stdout } = await vggnet(['describe', '--variant', 'vgg-16'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^VGG D, 1000 classes for 1 image of 3 x 224 x 224, evaluation on cpu in float32\n/)
    expect(stdout).toMatch(/\nconv4_2 .* 2,359,808 /)
    expect(stdout).toMatch(/\ntotal +138,357,544 +15\.47 G\n/)
    // with blocks of 8 or 16 channels
    expect(stdout).toMatch(/\nmemory \d+\.\d+ MiB: parameters 527\.[89] MiB, /)
    expect(stdout).not.toContain('\u001b')
  })
})
