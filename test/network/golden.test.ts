import { vi } from 'vitest'
import { Network } from '../../lib/network/network.js'
import { Tensor } from '../../lib/tensor.js'
import { expectClose } from '../compare.js'
import { float32Devices, onEachDevice, opening, precisionOf, type TestDevice } from '../devices.js'
import { formulaIndices } from '../reference/formula.js'
import { type Golden, goldenImages, goldenParameters, readGolden } from '../reference/golden.js'

// full size takes a quarter of a minute on an idle machine, most of it for half a gigabyte of weights
vi.setConfig({ testTimeout: 240_000 })

/** PyTorch's own float32 is up to 3e-6 from its float64 in logits and losses, and up to 6e-6 in gradients. */
const close = { relative: 1e-5 }

// bf16 against PyTorch in float32: each layer rounds to 2^-9 of a number what it reads and writes, which adds up over 8 to
// 19 of them; a ReLU near its edge and the largest of four near each other change with it, and with them single elements of
// the gradients wholly. So only norms are compared, and those of the layers further down loosely.
const roughly = {
  output: { relative: 0.05, norm: 0.05 },
  loss: { relative: 0.01 },
  gradient: { relative: Number.POSITIVE_INFINITY, norm: 0.3 },
}
const isRough = (device: TestDevice): boolean => precisionOf(device) === 'bf16'

const variants = ['A', 'A-LRN', 'B', 'C', 'D', 'E'].map((name) => ({ name }))

onEachDevice('logits, loss and every gradient agree with PyTorch, small', variants, async (device, { name }) => {
  const golden = readGolden(`small-${name}`)
  const { network, images } = await networkOf(golden, device)
  try {
    await expectLogitsAndLoss(network, images, golden, device)
    for (const parameter of network.parameters) {
      const actual = await (await network.gradient(parameter.name)).data()
      expectClose(
        parameter.name,
        actual,
        golden.tensors.get(`gradients/${parameter.name}`) ?? [],
        isRough(device) ? roughly.gradient : close,
      )
    }
  } finally {
    network.dispose()
  }
})

onEachDevice('ten losses of SGD agree with PyTorch, small', variants, async (device, { name }) => {
  const golden = readGolden(`small-${name}`)
  const { labels, losses, sgd } = golden.case
  const { learningRates, ...options } = sgd
  const { network, images } = await networkOf(golden, device)
  try {
    const found: number[] = []
    for (const learningRate of learningRates)
      found.push((await network.step(images, labels, { ...options, learningRate })).loss)
    expectClose('losses', found, losses, isRough(device) ? roughly.loss : close)
  } finally {
    network.dispose()
  }
})

// At full size a ReLU may change sign under float32 rounding: it moves single elements of the gradients below it by
// up to 1e-2 of the largest, and hardly their norm. The linear layers stand above all that.
const samples = { convolution: { relative: 1e-2 }, linear: { relative: 1e-5 } }
const norms = { convolution: { relative: 1e-3 }, linear: { relative: 1e-5 } }

onEachDevice(
  'full size agrees with PyTorch',
  [{ name: 'A' }, { name: 'D' }],
  async (device, { name }) => {
    const golden = readGolden(`full-${name}`)
    const { stream, gradients } = golden.case
    const { network, images } = await networkOf(golden, device)
    try {
      await expectLogitsAndLoss(network, images, golden, device)
      for (const { name: parameter, count } of network.parameters) {
        const kind = parameter.startsWith('conv') ? 'convolution' : 'linear'
        const actual = await (await network.gradient(parameter)).data()
        const { norm, largest } = gradients[parameter]
        expectClose(`norm of ${parameter}`, [normOf(actual)], [norm], norms[kind])
        const places = formulaIndices(`${stream}/${parameter}/samples`, 32, count)
        const expected = golden.tensors.get(`samples/${parameter}`) ?? []
        const tolerance = { absolute: samples[kind].relative * largest }
        expectClose(
          parameter,
          places.map((place) => actual[place]),
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
    expectClose(
      'logits',
      await logits.data(),
      golden.tensors.get('logits') ?? [],
      isRough(device) ? roughly.output : close,
    )
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

async function expectLogitsAndLoss(
  network: Network,
  images: Tensor,
  { case: golden, tensors }: Golden,
  device: TestDevice,
): Promise<void> {
  const logits = await network.forward(images, { training: true })
  expectClose('logits', await logits.data(), tensors.get('logits') ?? [], isRough(device) ? roughly.output : close)
  const { loss } = await network.backward([...golden.labels])
  expectClose('loss', [loss ?? Number.NaN], [golden.loss], isRough(device) ? roughly.loss : close)
}

function normOf(values: Float32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i]
  return Math.sqrt(sum)
}
