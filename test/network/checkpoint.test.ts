import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { decode } from '../../lib/checkpoint/safetensors.js'
import { load, loadNetwork, Network, save, Tensor, VGG, type VggError } from '../../lib/index.js'
import { describeOnEach, repeatable, skipOnStandIn, type TestDevice } from '../devices.js'
import { sealed } from '../setup/model-file.js'
import { parametersOfNet, runProgram, smallBatch, smallNet, smallNetOn } from './small.js'

const { images, labels } = smallBatch(6)
const update = { learningRate: 0.01, momentum: 0.9 }
const classNames = ['zero', 'one', 'two', 'three', 'größer "vier"\n']

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-checkpoint-'))
})
afterEach(() => rm(folder, { recursive: true }))

const file = (name = 'net.safetensors') => path.join(folder, name)

const trained = async (device: TestDevice): Promise<VGG> => {
  const net = await smallNet({ ...repeatable(device), classNames, meanRgb: [1.1, 2.2], dropout: 0.25 })
  await net.step(images, labels, update)
  return net
}

describeOnEach('save and load', (device) => {
  const here = { ...repeatable(device), threads: 1 } as const
  const smallNet = smallNetOn(device)
  let net: VGG
  beforeAll(async () => {
    net = await trained(device)
  })
  afterAll(() => net.dispose())

  it('keep the parameters bit for bit, the configuration and the class names', async () => {
    await save(net, file())
    const loaded = await load(file(), here)
    expect(loaded).toBeInstanceOf(VGG)
    expect(await parametersOfNet(loaded)).toEqual(await parametersOfNet(net))
    expect(loaded.configuration).toEqual(net.configuration)
    expect(loaded.classNames).toEqual(classNames)
    expect(loaded.layers).toEqual(net.layers)
    expect(await (await loaded.forward(images)).data()).toEqual(await (await net.forward(images)).data())
    expect(await readdir(folder)).toEqual(['net.safetensors'])
    loaded.dispose()
  })

  it('in another process give the same logits', async () => {
    await save(net, file())
    const { code, out, error } = await runProgram(`
      import { load } from 'vggnet-lib/index.ts'
      import { smallBatch } from 'vggnet-test/network/small.ts'
      const net = await load(${JSON.stringify(file())}, ${JSON.stringify(here)})
      const logits = await (await net.forward(smallBatch(6).images)).data()
      console.log(JSON.stringify([...logits, net.classNames]))`)
    expect(error).toBe('')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual([...(await (await net.forward(images)).data()), classNames])
  })

  it('write equal bytes for an equal model', async () => {
    await save(net, file('a'))
    await save(net, file('b'))
    const loaded = await load(file('a'), here)
    await save(loaded, file('c'))
    const bytes = await readFile(file('a'))
    expect(bytes.equals(await readFile(file('b')))).toBe(true)
    expect(bytes.equals(await readFile(file('c')))).toBe(true)
    loaded.dispose()
  })

  it('record device and precision, which load ignores', async () => {
    await save(net, file())
    const { metadata } = decode(await readFile(file()))
    const { device: name, precision } = net
    expect(JSON.parse(metadata.run ?? '')).toEqual({ device: name, precision, deterministic: true })
    const loaded = await load(file(), { device: 'cpu', deterministic: false })
    expect([loaded.device, loaded.precision, loaded.deterministic]).toEqual(['cpu', 'float32', false])
    loaded.dispose()
  })

  it('keep the parameters at the call, whatever steps follow', async () => {
    const training = await smallNet()
    const expected = await parametersOfNet(training)
    const saving = save(training, file())
    const steps = Array.from({ length: 5 }, () => training.step(images, labels, update))
    await Promise.all([saving, ...steps])
    const loaded = await load(file(), here)
    expect(await parametersOfNet(loaded)).toEqual(expected)
    training.dispose()
    loaded.dispose()
  })

  it('keep a network of custom layers, which only loadNetwork loads', async () => {
    const layers = [
      { kind: 'input', channels: 1, mean: [0.1], scale: [1 / 3] },
      { kind: 'convolution', name: 'a', outputs: 2, kernel: 1, relu: 'b' },
      { kind: 'linear', name: 'c', outputs: 3, window: [2, 2], dropout: 0.5 },
    ] as const
    const own = await Network.create({ layers, ...here, classNames: ['x', 'y', 'z'] })
    await save(own, file())
    const loaded = await loadNetwork(file(), here)
    expect(loaded).not.toBeInstanceOf(VGG)
    expect([loaded.layers, loaded.classNames]).toEqual([layers, ['x', 'y', 'z']])
    expect(await (await loaded.parameter('c.weight')).data()).toEqual(await (await own.parameter('c.weight')).data())
    await expect(load(file())).rejects.toThrow(/a network of other layers; use loadNetwork/)
    own.dispose()
    loaded.dispose()
  })

  it('keep the old file when a write fails', async () => {
    await save(net, file())
    const before = await readFile(file())
    const other = await smallNet({ seed: 77 })
    other.dispose()
    await expect(save(other, file())).rejects.toMatchObject({ code: 'DISPOSED' })
    await expect(save(net, file('missing/x'))).rejects.toMatchObject({ code: 'FILE_WRITE' })
    await expect(save(net, folder)).rejects.toThrow(/it is a folder/)
    await expect(save(net, '')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(save({} as never, file())).rejects.toThrow(/a Network for network/)
    expect((await readFile(file())).equals(before)).toBe(true)
    const racing = await smallNet({ seed: 78 })
    const saving = save(racing, file())
    racing.dispose()
    // it may have read all before
    const code = await saving.then(
      () => undefined,
      (error: VggError) => error.code,
    )
    expect((await readFile(file())).equals(before)).toBe(code === 'DISPOSED')
    expect(await readdir(folder)).toEqual(['net.safetensors'])
  })
})

let net: VGG
beforeAll(async () => {
  net = await trained('cpu')
})
afterAll(() => net.dispose())

/** The saved file with its tensors or metadata changed, valid as safetensors. */
async function changed(change: (contents: ReturnType<typeof decode>) => Partial<ReturnType<typeof decode>>) {
  await save(net, file('good'))
  const contents = decode(await readFile(file('good')))
  const { tensors, metadata } = { ...contents, ...change(contents) }
  await writeFile(file(), await sealed(tensors, metadata))
}

const model = (change: (model: Record<string, unknown>) => unknown) =>
  changed(({ metadata }) => ({
    metadata: { ...metadata, model: JSON.stringify(change(JSON.parse(metadata.model ?? ''))) },
  }))

describe('load refuses', () => {
  const refusal = (code: string, message: RegExp) => async () => {
    await expect(load(file(), { device: 'cpu' })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
  }

  it('a path without a file', refusal('FILE_NOT_FOUND', /There is no file .*net.safetensors/))

  it('a folder, and an invalid path', async () => {
    await expect(load(folder)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: `Expected a model, or the folder of a run or of checkpoints, but ${folder} has no model that can be used`,
    })
    await expect(load(3 as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(load('a\0b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await save(net, file())
    await expect(load(file(), { thread: 1 } as never)).rejects.toThrow(/for load options .* did you mean 'threads'\?/)
  })

  it('a truncated file', async () => {
    await save(net, file())
    const { length } = await readFile(file())
    for (const bytes of [length - 1, Math.floor(length / 2), 100]) {
      await truncate(file(), bytes)
      await refusal('FILE_FORMAT', /net.safetensors: Not a valid safetensors file: .*truncated/)()
    }
    for (const bytes of [8, 3]) {
      await truncate(file(), bytes)
      await refusal('FILE_FORMAT', /net.safetensors: Expected weights .* but it is of another kind: it begins with/)()
    }
    await truncate(file(), 0)
    await refusal('FILE_FORMAT', /net.safetensors: .* but it is empty: copy or download it again/)()
  })

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['an image', () => writeFile(file(), Buffer.alloc(2000, 'GIF89a')), /but it is a GIF image/],
    [
      'weights of another program',
      () => changed(() => ({ metadata: { format: 'pt' } })),
      /Expected .* but these do not fit: .*|Expected the weights of a VGG net/,
    ],
    [
      'weights without metadata',
      () => changed(() => ({ metadata: {} })),
      /Expected .* but these do not fit: .*|Expected the weights of a VGG net/,
    ],
    [
      'a later version',
      () => changed(({ metadata }) => ({ metadata: { ...metadata, version: '3' } })),
      /Expected version 1 or 2 .*, which vggnet \S+ reads, but found 3: install a newer vggnet/,
    ],
    [
      'no description',
      () => changed(({ metadata }) => ({ metadata: { ...metadata, model: '' } })),
      /description of the model is not valid/,
    ],
    ['a description that is null', () => model(() => null), /description of the model is not valid/],
    [
      'another kind',
      () => model((old) => ({ ...old, kind: 'ResNet' })),
      /VGG or Network for kind but received 'ResNet'/,
    ],
    ['an unknown option', () => model((old) => ({ ...old, stride: 2 })), /received 'stride'/],
    ['class names of another count', () => model((old) => ({ ...old, classNames: ['a'] })), /Expected 5 classNames/],
    [
      'a missing tensor',
      () => changed(({ tensors }) => ({ tensors: tensors.slice(1) })),
      /Expected .*, but it is missing/,
    ],
    [
      'a tensor too many',
      () =>
        changed(({ tensors }) => ({
          tensors: [...tensors, { name: 'x', dtype: 'U8', shape: [1], data: Uint8Array.of(1) }],
        })),
      /Found x, which/,
    ],
    [
      'tensors of other shapes',
      () => model((old) => ({ ...old, headWidth: 17 })),
      /Expected fc6.weight as F32 \[17, 48\] but found F32 \[16, 48\]/,
    ],
    [
      'a description of terabytes',
      () => model((old) => ({ ...old, headWidth: 2 ** 20 })),
      /Expected fc6.weight as F32/,
    ],
  ])('%s', async (_, prepare, message) => {
    await prepare()
    await refusal('FILE_FORMAT', message)()
  })
})

describeOnEach('a full-size model', (device) => {
  it('is saved and loaded', async (context) => {
    if (device === 'cuda') skipOnStandIn(context, 'bf16 takes the same way')
    const large = await VGG.create({ variant: 'A', classes: 10, imageSize: 32, ...repeatable(device), seed: 5 })
    await save(large, file())
    const loaded = await load(file(), repeatable(device))
    const x = Tensor.randn([1, 3, 32, 32], { seed: 1 })
    expect(await (await loaded.forward(x)).data()).toEqual(await (await large.forward(x)).data())
    large.dispose()
    loaded.dispose()
  })
})
