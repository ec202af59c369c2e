import { afterAll, beforeAll, expect, test } from 'vitest'
import { load, save, Tensor, VGG } from '../../lib/index.js'
import { programMistakes } from './mistake.js'
import { floats, grey, options, rate, untyped } from './small-net.js'

let net: VGG
beforeAll(async () => {
  net = await VGG.create(options)
})
afterAll(() => net.dispose())

const promised = (value: unknown) => untyped(Promise.resolve(value))

programMistakes(
  'calls that are not awaited',
  [
    { name: 'images', make: () => net.forward(promised(floats(1, 3, 32, 32))), problem: ['a Tensor for images'] },
    { name: 'labels', make: () => net.step(grey(1), promised([0]), rate), problem: ['for labels'] },
    { name: 'a first argument of backward', make: () => net.backward(promised([0])), problem: ['for labels'] },
    { name: 'a gradient', make: () => net.backward({ gradient: promised(floats(1, 2)) }), problem: ['for gradient'] },
    { name: 'values', make: () => net.setParameter('fc8.bias', promised(floats(2))), problem: ['for values'] },
    { name: 'names', make: () => net.features(grey(1), promised(['fc7'])), problem: ['for names'] },
    { name: 'options', make: () => VGG.create(promised(options)), problem: ['an object for VGG.create options'] },
    { name: 'a network', make: () => save(promised(net), 'unused.safetensors'), problem: ['a Network for network'] },
    { name: 'a path', make: () => load(promised('model.safetensors')), problem: ['for source'] },
    { name: 'elements', make: () => Tensor.from(promised(new Float32Array(3))), problem: ['for data'] },
  ].map(({ problem, ...mistake }) => ({
    ...mistake,
    code: 'INVALID_ARGUMENT' as const,
    problem: [...problem, 'Promise (object)'],
    cure: ['await it first'],
  })),
)

programMistakes('memory', [
  {
    name: 'a billion classes',
    make: () => VGG.create({ ...options, headWidth: 4096, classes: 1e9 }),
    code: 'OUT_OF_MEMORY',
    problem: ['14.90 TiB', 'fc8.weight [1000000000, 4096]', 'are available'],
    cure: ['fewer classes'],
  },
  {
    name: 'images of a million pixels a side',
    make: () => VGG.create({ ...options, imageSize: 1e6 }),
    code: 'OUT_OF_MEMORY',
    problem: ['7.28 TiB', 'fc6.weight', 'bytes are available'],
    cure: ['smaller images'],
  },
  {
    name: 'a tensor that no memory holds',
    make: () => Tensor.zeros([1e9, 3, 224, 224]),
    code: 'OUT_OF_MEMORY',
    problem: ['shape [1000000000, 3, 224, 224]', '602112000000000 bytes', 'are available'],
    cure: ['fewer images at a time'],
  },
  {
    name: 'a batch beyond the memory limit',
    make: async () => {
      const limited = await VGG.create({ ...options, memoryLimit: 6e6 })
      return limited.step(grey(300), new Uint8Array(300), rate).finally(() => limited.dispose())
    },
    code: 'OUT_OF_MEMORY',
    problem: ['a batch of 300 images of 32x32', 'bytes', 'there is room for 6000000'],
    cure: ['the largest batch that fits is', 'microBatch'],
  },
])

const tensorOfDetached = () => {
  const data = new Float32Array(3072)
  const tensor = Tensor.from(data, [1, 3, 32, 32])
  structuredClone(data, { transfer: [data.buffer] })
  return tensor
}

programMistakes('life of networks and memory', [
  {
    name: 'a constructor instead of create',
    make: () => Reflect.construct(VGG, [{ variant: 'A', classes: 2 }]),
    code: 'INVALID_ARGUMENT',
    problem: ['new', 'Object (object)'],
    cure: ['await VGG.create(options)'],
  },
  {
    name: 'a call after dispose',
    make: async () => {
      const gone = await VGG.create(options)
      gone.dispose()
      return gone.forward(grey(1))
    },
    code: 'DISPOSED',
    problem: ['The VGG net A was disposed'],
    cure: ['call dispose() after its last use'],
  },
  {
    name: 'dispose while calls wait',
    make: async () => {
      const gone = await VGG.create(options)
      const calls = Array.from({ length: 20 }, () => gone.step(grey(4), [0, 1, 0, 1], rate))
      gone.dispose()
      return Promise.all(calls)
    },
    code: 'DISPOSED',
    problem: ['disposed before this call began'],
    cure: ['await its calls before dispose()'],
  },
  {
    name: 'a disposed tensor',
    make: () => {
      const tensor = floats(1, 3, 32, 32)
      tensor.dispose()
      return net.forward(tensor)
    },
    code: 'DISPOSED',
    problem: ['float32 tensor of shape [1, 3, 32, 32] was disposed'],
    cure: ['call dispose() after its last use'],
  },
  {
    name: 'a tensor whose memory was transferred to a worker',
    make: () => net.forward(tensorOfDetached()),
    code: 'INVALID_ARGUMENT',
    problem: ['shape [1, 3, 32, 32]', 'detached or resized'],
    cure: ['transfer a copy to a worker, array.slice()'],
  },
  {
    name: 'labels whose memory was transferred to a worker',
    make: () => {
      const labels = Int32Array.of(0)
      structuredClone(labels, { transfer: [labels.buffer] })
      return net.step(grey(1), labels, rate)
    },
    code: 'SHAPE_MISMATCH',
    problem: ['Expected 1 labels', 'received 0', 'detached'],
    cure: ['transfer a copy to a worker, array.slice()'],
  },
  {
    name: 'backward without a forward pass in training',
    make: async () => {
      await net.forward(grey(1))
      return net.backward([0])
    },
    code: 'STATE',
    problem: ['backward needs'],
    cure: ['forward(x, { training: true })'],
  },
  {
    name: 'a learning rate that is far too large',
    make: async () => {
      const diverging = await VGG.create(options)
      const steps = Array.from({ length: 30 }, () => diverging.step(grey(4), [0, 1, 0, 1], { learningRate: 1e10 }))
      return Promise.all(steps).finally(() => diverging.dispose())
    },
    code: 'NOT_FINITE',
    problem: ['training step', 'not finite', 'no parameter was changed'],
    cure: ['a smaller learning rate may help'],
  },
])

test('shared and resizable memory is taken, and calls need not be awaited one by one', async () => {
  const resizable = new (ArrayBuffer as new (n: number, o: object) => ArrayBuffer)(4 * 3072, {
    maxByteLength: 8 * 3072,
  })
  const buffers = [resizable, new SharedArrayBuffer(4 * 3072), new ArrayBuffer(4 * 3072)]
  const calls = buffers.map((buffer) => net.forward(Tensor.from(new Float32Array(buffer).fill(90), [1, 3, 32, 32])))
  const [first, ...others] = await Promise.all(calls.map(async (logits) => (await logits).data()))
  for (const other of others) expect(other).toEqual(first)
})
