// Compiled by typed.test.ts, never run: what a programmer's editor accepts, infers and underlines.
import {
  type Dataset,
  load,
  type Network,
  type PhotoOptions,
  type RunOptions,
  replaceHead,
  type StepOptions,
  type Tensor,
  type TrainOptions,
  train,
  type VariantName,
  VGG,
  type VggOptions,
} from 'vggnet'

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false
const yes = <_Same extends true>(): void => undefined

export async function variants(): Promise<void> {
  await VGG.create({ variant: 'VGG19', classes: 2 })
  await VGG.create({ variant: { blocks: [[3], [3, 'LRN']] }, classes: 2 })
  // @ts-expect-error: the paper has no F
  await VGG.create({ variant: 'F', classes: 2 })
  // @ts-expect-error
  await VGG.create({ variant: 'VGG15', classes: 2 })
  const asked = process.argv[2] ?? 'A'
  // @ts-expect-error: any string
  await VGG.create({ variant: asked, classes: 2 })
  await VGG.create({ variant: asked as VariantName, classes: 2 })
}

export async function heads(x: Tensor): Promise<void> {
  // @ts-expect-error: neither classes nor head: 'none'
  await VGG.create({ variant: 'D' })
  // @ts-expect-error: a network without a head has no classes
  await VGG.create({ variant: 'D', head: 'none', classes: 2 })
  // @ts-expect-error
  await VGG.create({ variant: 'D', head: 'none', headWidth: 32 })
  // @ts-expect-error
  await VGG.create({ variant: 'D', head: 'all', classes: 2 })
  const net = await VGG.create({ variant: 'VGG16', head: 'none', seed: 1 })
  yes<Same<typeof net, VGG<'D'>>>()
  await net.features(x, ['relu4_3'])
  // @ts-expect-error: D has three convolutions in block 4
  await net.features(x, ['relu4_4'])
  await VGG.create({ ...net.configuration, classNames: net.classNames })
  const { configuration } = await replaceHead(net, { classes: 2, headWidth: 32 })
  yes<Same<typeof configuration.classes, number | undefined>>()
  if (configuration.head === undefined) yes<Same<typeof configuration.classes, number>>()
}

export async function tensors(x: Tensor): Promise<void> {
  const net = await VGG.create({ variant: 'VGG16', classes: 2 })
  const { relu1_2, fc7 } = await net.features(x, ['relu1_2', 'fc7'])
  yes<Same<typeof relu1_2 | typeof fc7, Tensor<'float32'>>>()
  yes<Same<typeof net, VGG<'D'>>>()
  // @ts-expect-error: D has two convolutions in block 1
  await net.features(x, ['relu1_3'])
  const found = await net.features(x, ['fc6'])
  // @ts-expect-error: not asked for
  found.fc7
  const names: string[] = ['fc6']
  const any = await load('model.safetensors')
  const { pool5 } = await any.features(x, ['pool5'])
  yes<Same<typeof pool5, Tensor<'float32'>>>()
  yes<Same<Awaited<ReturnType<typeof any.features<string>>>, Record<string, Tensor<'float32'>>>>()
  await any.features(x, names)
}

export async function several(x: Tensor, variant: 'A' | 'D' | 'A-LRN'): Promise<void> {
  const net = await VGG.create({ variant, classes: 2 })
  const { conv4_2, pool5 } = await net.features(x, ['conv4_2', 'pool5', 'features.21'])
  yes<Same<typeof conv4_2 | typeof pool5, Tensor<'float32'>>>()
  // @ts-expect-error: A has two convolutions in block 4
  await net.features(x, ['relu4_3'])
  // @ts-expect-error: only A-LRN has it
  await net.features(x, ['norm1'])
  net.freeze(['conv4_2', 'conv4'])
  // @ts-expect-error
  net.freeze(['conv4_3'])
  const any: VGG = net
  await any.features(x, ['relu4_3'])
}

export async function layers(data: Dataset): Promise<void> {
  const a = await VGG.create({ variant: 'A', classes: 2 })
  a.freeze(['conv1', 'conv3_2', 'convolutions', 'head', 'fc6'])
  a.unfreeze(a.frozen)
  // @ts-expect-error: A has one convolution in block 1
  a.freeze(['conv1_2'])
  // @ts-expect-error
  a.unfreeze(['conv6'])
  await a.update({ learningRate: 0.1, rateFactors: { conv1: 0.1, fc8: 10 } })
  // @ts-expect-error
  await a.update({ learningRate: 0.1, rateFactors: { fc9: 10 } })
  await train(a, data, { freeze: ['conv1'], rateFactors: { head: 10 } })
  // @ts-expect-error
  await train(a, data, { freeze: ['conv1_2'] })
  // @ts-expect-error
  await train(a, data, { rateFactors: { fc9: 10 } })
  const b = await replaceHead(a, { classes: 3 })
  yes<Same<typeof b, VGG<'A'>>>()
}

type WithUndefined<T> = { [K in keyof T]: object extends Pick<T, K> ? T[K] | undefined : T[K] }

/** An option that is undefined is absent, under exactOptionalPropertyTypes too. */
export function undefinedOptions(
  ...[model, run, photos, training, step]: [
    WithUndefined<VggOptions>,
    WithUndefined<RunOptions>,
    WithUndefined<PhotoOptions>,
    WithUndefined<TrainOptions>,
    WithUndefined<StepOptions>,
  ]
): readonly [VggOptions, RunOptions, PhotoOptions, TrainOptions, StepOptions] {
  return [model, run, photos, training, step]
}

/** `VGG` and `Network` are types for every network. */
export async function anyNetwork(data: Dataset, x: Tensor): Promise<readonly VGG[]> {
  const a = await VGG.create({ variant: 'A', classes: 2 })
  const custom = await VGG.create({ variant: { blocks: [[3]] }, classes: 2 })
  const use = async (net: VGG, other: Network): Promise<void> => {
    net.freeze(['conv6_1'])
    other.freeze(['first'])
    await other.features(x, ['first'])
    await train(net, data, { freeze: ['conv6'], rateFactors: { 'conv6-1': 2 } })
    await train(other, data, { freeze: ['first'] })
  }
  await use(a, a)
  await use(custom, custom)
  return [a, custom]
}
