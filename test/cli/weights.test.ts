import { rmSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { load } from '../../lib/index.js'
import { root, vggnet } from '../setup/command.js'
import { writeDigitPhotos } from '../setup/digit-photos.js'

const golden = (name: string): string => path.join(root, 'test/golden/foreign', name)

let folder = ''
const at = (name: string): string => path.join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-weights-'))
  await writeDigitPhotos(at('photos'), 2, 10)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('vggnet import', () => {
  test('writes a model with what the weights expect, which computes the same', async () => {
    const words = ['import', golden('caffe-v1.caffemodel'), '--out', at('model.safetensors')]
    const { code, stdout, stderr } = await vggnet([...words, '--json'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const made = JSON.parse(stdout)
    const origin = { source: 'caffe', file: 'caffe-v1.caffemodel', licence: 'CC-BY-4.0' }
    expect(made).toMatchObject({ variant: 'D', classes: 1000, origin, pixels: { meanRgb: [123.68, 116.779, 103.939] } })
    expect(made.origin.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(made.bytes).toBe((await readFile(at('model.safetensors'))).length)
    using ours = await load(at('model.safetensors'))
    using theirs = await load(golden('caffe-v1.caffemodel'))
    expect(ours.origin).toEqual(made.origin)
    expect(ours.classNames[0]).toBe('tench')
    const [a, b] = await Promise.all([ours, theirs].map(async (net) => (await net.parameter('fc6.weight')).data()))
    expect(a).toEqual(b)
  })

  test('changes the network', async () => {
    const changes = ['--classes', '3', '--class-names', 'a,b,c', '--channels', '1', '--head-width', '8', '--seed', '5']
    const words = ['import', golden('torchvision-D-stream.pth'), ...changes, '--out', at('grey.safetensors')]
    const { code, stdout } = await vggnet(words)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^network +VGG D, 3 classes: a, b, c/m)
    using net = await load(at('grey.safetensors'))
    expect(net).toMatchObject({ channels: 1, classes: 3, classNames: ['a', 'b', 'c'] })
    expect(net.configuration.headWidth).toBe(8)
  })

  test.each([
    ['an existing model', 'model.safetensors', /--out that does not exist, but there is .*model\.safetensors/],
    ['a folder that does not exist', 'no/model.safetensors', /there is no folder .*\/no: create it/],
  ])('does not write %s, and reads nothing', async (_, out, message) => {
    const { code, stderr } = await vggnet(['import', at('nothing.pth'), '--out', at(out)])
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
  })
})

test('vggnet describe shows the network of a file, and what its images are', async () => {
  const file = golden('caffe-face.caffemodel')
  const { stdout } = await vggnet(['describe', file])
  expect(stdout).toMatch(/^VGG A, 2622 classes/)
  expect(stdout).toMatch(/^licence +CC-BY-NC$/m)
  const { code, stderr } = await vggnet(['describe', file, '--variant', 'D'])
  expect(code).toBe(2)
  expect(stderr).toContain('Expected no --variant')
})

test('vggnet train continues from weights of another program, and classify and evaluate take them', async () => {
  const from = golden('torchvision-D-stream.pth')
  const words = ['train', at('photos'), '--from', from, '--freeze', 'convolutions', '--epochs', '1', '--no-check']
  const trained = await vggnet([...words, '--split', '0.2', '--out', at('run')])
  expect(trained).toMatchObject({ code: 0 })
  using net = await load(at('run'))
  using before = await load(from)
  expect(net).toMatchObject({ classes: 2, classNames: ['digit-0', 'digit-1'], origin: before.origin })
  const weights = [net, before].map(async (one) => (await one.parameter('conv5_3.weight')).data())
  expect(await weights[0]).toEqual(await weights[1])
  const image = at('photos/digit-0/0.png')
  const [{ answers }] = JSON.parse((await vggnet(['classify', golden('caffe-v1.caffemodel'), image, '--json'])).stdout)
  expect(before.classNames).toEqual([])
  expect(answers[0].class).toMatch(/[a-z]/)
  const { code } = await vggnet(['evaluate', at('run'), '--json'])
  expect(code).toBe(0)
})
