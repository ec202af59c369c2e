import type { Tensor } from '../../tensor.js'
import type { VGG } from '../../vgg/vgg.js'
import { outputsFor } from './fingerprint.js'

/** A parameter, or the activity of a layer, in which two networks differ. */
export interface Distance {
  /** 'conv1_1.weight', or 'relu1_1' of an activity. */
  readonly name: string
  /** Largest difference of two elements. */
  readonly largest: number
  /** The largest difference over the largest magnitude of an element. */
  readonly relative: number
}

/** In what two networks differ. All is empty for equal ones. */
export interface Difference {
  /** What differs besides the parameters, such as 'classes 1000, and 10'. */
  readonly configuration: readonly string[]
  /** Parameters of one network that the other does not have in this shape. */
  readonly unmatched: readonly string[]
  /** Parameters that differ in any bit, in the order of the layers. */
  readonly parameters: readonly Distance[]
  /** Layers whose activities on the same image differ by more than `rounding`, in their order. */
  readonly activities: readonly Distance[]
}

/** Relative difference of activities up to which they count as equal: float32 sums in another order. */
const rounding = 1e-5

/** Compares two networks: their parameters exactly, then their activities on an image, each with its own mean and scale. */
export async function differenceOf(net: VGG, other: VGG, image: Tensor): Promise<Difference> {
  const shapes = new Map(other.parameters.map(({ name, shape }) => [name, shape.join()]))
  const matched = net.parameters.filter(({ name, shape }) => shapes.get(name) === shape.join())
  const names = new Set(matched.map(({ name }) => name))
  const unmatched = [...net.parameters, ...other.parameters].map(({ name }) => name).filter((name) => !names.has(name))
  const parameters: Distance[] = []
  for (const { name } of matched) {
    const [values, others] = [await (await net.parameter(name)).data(), await (await other.parameter(name)).data()]
    const distance = distanceOf(name, values, others)
    if (distance.largest > 0) parameters.push(distance)
  }
  return {
    configuration: otherConfiguration(net, other),
    unmatched: [...new Set(unmatched)],
    parameters,
    activities: await otherActivities(net, other, image),
  }
}

function distanceOf(name: string, values: Float32Array, others: Float32Array): Distance {
  let [largest, magnitude] = [0, 0]
  for (let index = 0; index < values.length; index++) {
    const [one = 0, two = 0] = [values[index], others[index]]
    magnitude = Math.max(magnitude, Math.abs(one), Math.abs(two))
    // also of infinities and NaN, which have no difference
    if (!Object.is(one, two) && one !== two) largest = Math.max(largest, finiteOr(Math.abs(one - two)))
  }
  return { name, largest, relative: largest === 0 ? 0 : largest / magnitude }
}

const finiteOr = (value: number): number => (Number.isNaN(value) ? Number.POSITIVE_INFINITY : value)

const compared = ['classes', 'channels', 'imageSize', 'headWidth', 'width', 'meanRgb', 'scale'] as const

function otherConfiguration({ configuration: one }: VGG, { configuration: two }: VGG): string[] {
  const fields = compared.map((name) => [name, String(one[name] ?? 'none'), String(two[name] ?? 'none')] as const)
  return [['configuration', one.variant.name, two.variant.name] as const, ...fields]
    .filter(([, first, second]) => first !== second)
    .map(([name, first, second]) => `${name} ${first}, and ${second}`)
}

/** The layers of both whose activities differ; those of another shape are not compared: their parameters are unmatched. */
async function otherActivities(net: VGG, other: VGG, image: Tensor): Promise<Distance[]> {
  if (net.channels !== other.channels || net.imageSize.join() !== other.imageSize.join()) return []
  const ours = await outputsFor(net, image)
  const theirs = new Map(await outputsFor(other, image))
  const found: Distance[] = []
  for (const [name, tensor] of ours) {
    const against = theirs.get(name)
    if (against?.shape.join() !== tensor.shape.join()) continue
    const distance = distanceOf(name, await tensor.data(), await against.data())
    if (distance.relative > rounding) found.push(distance)
  }
  return found
}
