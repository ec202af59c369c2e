import { vi } from 'vitest'
import { Network } from '../../lib/network/network.js'
import { Tensor } from '../../lib/tensor.js'
import { expectClose } from '../compare.js'
import { float32Devices, onEachDevice, opening, precisionOf, skipOnStandIn, type TestDevice } from '../devices.js'
import { formulaIndices } from '../reference/formula.js'
import { type Golden, goldenImages, goldenParameters, goldenPixels, readGolden } from '../reference/golden.js'
import { softmaxLoss } from '../reference/loss.js'
import { ReferenceRun } from '../reference/network.js'
import { toBfloat16 } from '../reference/rounding.js'

// full size takes a quarter of a minute on an idle machine, most of it for half a gigabyte of weights
vi.setConfig({ testTimeout: 240_000 })

/** PyTorch's own float32 is up to 3e-6 from its float64 in logits and losses, and up to 6e-6 in gradients. */
const close = { relative: 1e-5 }

/** In bf16, through up to 19 layers: three times what sums in another order, and a bias added apart, have come to. */
const deep = {
  output: { relative: 2 ** -6, norm: 0.02 },
  gradient: { relative: Number.POSITIVE_INFINITY, norm: 0.03 },
}

const variants = ['A', 'A-LRN', 'B', 'C', 'D', 'E'].map((name) => ({ name }))

onEachDevice(
  'logits, loss and every gradient agree with PyTorch, small',
  variants,
  async (device, { name }) => {
    const golden = readGolden(`small-${name}`)
    const { network, images } = await networkOf(golden, device)
    try {
      await expectLogitsAndLoss(network, images, golden)
      for (const parameter of network.parameters) {
        const actual = await (await network.gradient(parameter.name)).data()
        expectClose(parameter.name, actual, golden.tensors.get(`gradients/${parameter.name}`) ?? [], close)
      }
    } finally {
      network.dispose()
    }
  },
  float32Devices,
)

// Against PyTorch's float32, bf16 is off by a third in the gradients of the lowest layers: through so many layers it puts
// some numbers on the other side of a ReLU's edge, and makes another of four the largest. A reference that rounds as the
// GPU does agrees. Not so the ten losses: their first steps are so large that any rounding leads elsewhere.
onEachDevice(
  'logits, loss and every gradient agree with the rounding reference, small',
  variants,
  async (device, { name }) => {
    const golden = readGolden(`small-${name}`)
    const { case: configuration } = golden
    const parameters = new Map([...goldenParameters(configuration)].map((p) => [p.name, Float64Array.from(p.data)]))
    const run = new ReferenceRun(configuration.layers, parameters, goldenPixels(configuration), {
      rounding: toBfloat16,
    })
    const expected = softmaxLoss(run.output, configuration.labels)
    const gradients = run.backward(expected.gradient).parameters
    const { network, images } = await networkOf(golden, device)
    try {
      const logits = await network.forward(images, { training: true })
      expectClose('logits', await logits.data(), run.output.data, deep.output)
      const { loss } = await network.backward([...configuration.labels])
      expectClose('loss', [loss ?? Number.NaN], [expected.loss], deep.output)
      for (const [parameter, values] of gradients)
        expectClose(parameter, await (await network.gradient(parameter)).data(), values, deep.gradient)
    } finally {
      network.dispose()
    }
  },
  ['cuda-bf16'],
)

onEachDevice(
  'ten losses of SGD agree with PyTorch, small',
  variants,
  async (device, { name }) => {
    const golden = readGolden(`small-${name}`)
    const { labels, losses, sgd } = golden.case
    const { learningRates, ...options } = sgd
    const { network, images } = await networkOf(golden, device)
    try {
      const found: number[] = []
      for (const learningRate of learningRates)
        found.push((await network.step(images, labels, { ...options, learningRate })).loss)
      expectClose('losses', found, losses, close)
    } finally {
      network.dispose()
    }
  },
  float32Devices,
)

// At full size a ReLU may change sign under float32 rounding: it moves single elements of the gradients below it by
// up to 1e-2 of the largest, and hardly their norm. The linear layers stand above all that.
const samples = { convolution: { relative: 1e-2 }, linear: { relative: 1e-5 } }
const norms = { convolution: { relative: 1e-3 }, linear: { relative: 1e-5 } }

onEachDevice(
  'full size agrees with PyTorch',
  [{ name: 'A' }, { name: 'D' }],
  async (device, { name }, context) => {
    if (name === 'A') skipOnStandIn(context, 'D has its layers and more')
    const golden = readGolden(`full-${name}`)
    const { stream, gradients } = golden.case
    const { network, images } = await networkOf(golden, device)
    try {
      await expectLogitsAndLoss(network, images, golden)
      for (const { name: parameter, count } of network.parameters) {
        const kind = parameter.startsWith('conv') ? 'convolution' : 'linear'
        const actual = await (await network.gradient(parameter)).data()
        const { norm, largest } = gradients[parameter]
        expectClose(`norm of ${parameter}`, [normOf(actual)], [norm], norms[kind])
        const positions = formulaIndices(`${stream}/${parameter}/samples`, 32, count)
        const expected = golden.tensors.get(`samples/${parameter}`) ?? []
        const tolerance = { absolute: samples[kind].relative * largest }
        expectClose(
          parameter,
          positions.map((position) => actual[position]),
          expected,
          tolerance,
        )
      }
    } finally {
      network.dispose()
    }
  },
  float32Devices,
)

onEachDevice('the case of the article', [{ name: 'VGG16, [1, 3, 224, 224] -> [1, 500]' }], async (device) => {
  const golden = readGolden('article')
  const { network, images } = await networkOf(golden, device)
  try {
    const logits = await network.forward(images)
    expectClose('shape', logits.shape, [1, 500], {})
    // bf16: 16 layers, each of which rounds to 2^-9 of a number what it reads and writes
    const tolerance = precisionOf(device) === 'bf16' ? { relative: 0.05, norm: 0.05 } : close
    expectClose('logits', await logits.data(), golden.tensors.get('logits') ?? [], tolerance)
  } finally {
    network.dispose()
  }
})

async function networkOf({ case: golden }: Golden, device: TestDevice): Promise<{ network: Network; images: Tensor }> {
  const { layers } = golden
  const network = await Network.create({ layers, ...opening[device], exact: true, threads: 2, initialisation: 'none' })
  for (const { name, shape, data } of goldenParameters(golden))
    await network.setParameter(name, Tensor.from(data, shape))
  const { data, shape } = goldenImages(golden)
  return { network, images: Tensor.from(data, shape) }
}

async function expectLogitsAndLoss(network: Network, images: Tensor, { case: golden, tensors }: Golden): Promise<void> {
  const logits = await network.forward(images, { training: true })
  expectClose('logits', await logits.data(), tensors.get('logits') ?? [], close)
  const { loss } = await network.backward([...golden.labels])
  expectClose('loss', [loss ?? Number.NaN], [golden.loss], close)
}

function normOf(values: Float32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i]
  return Math.sqrt(sum)
}
