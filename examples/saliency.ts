// Saliency: the gradient of a class score with respect to the image. Writes the image and the absolute gradient side by
// side, as a PNG file and as text.
// Run: npx tsx examples/saliency.ts [--digit 4] [--out saliency.png]   (Node 22.18 and later: node examples/saliency.ts)
import sharp from 'sharp'
import { Tensor, type VGG } from 'vggnet'
import { command, wholeNumber } from './command.ts'
import { digitModel, digits } from './digit-model.ts'

const usage = `saliency.ts [--digit N] [--out FILE] [--model FILE]
  --digit N     the class of the image, 0 to 4 (default 4)
  --out FILE    path of the PNG file (default saliency.png)
  --model FILE  a grey 32x32 VGG net of the digits (default: trains one on 0 to 4)`

const side = 32

/** The predicted class, and for each pixel the absolute gradient of its score, scaled to 0..255. */
async function saliencyOf(net: VGG, pixels: Uint8Array): Promise<{ answer: number; strength: Uint8Array }> {
  // backward needs a forward pass in training mode, which applies dropout; therefore the gradients of 8 masks are averaged
  const sum = new Float64Array(pixels.length)
  const image = Tensor.from(pixels, [1, side, side, 1])
  const [answer = 0] = await (await net.forward(image)).argmax()
  for (let time = 0; time < 8; time++) {
    await net.setTrainingStep(time)
    await net.forward(image, { training: true, inputGradient: true })
    const score = new Float32Array(net.classes)
    score[answer] = 1 // the gradient of this class's logit, instead of a loss
    const { inputGradient } = await net.backward({ gradient: Tensor.from(score, [1, net.classes]) })
    const gradient = await inputGradient?.data()
    gradient?.forEach((value, pixel) => {
      sum[pixel] = (sum[pixel] ?? 0) + Math.abs(value)
    })
  }
  const largest = Math.max(...sum)
  return { answer, strength: Uint8Array.from(sum, (value) => (largest === 0 ? 0 : (255 * value) / largest)) }
}

/** Draws an image as text, one character for each pixel of every second row. */
function textRows(pixels: Uint8Array): string[] {
  const row = (y: number): string =>
    Array.from({ length: side }, (_, x) => ' .:-=+*#%@'[Math.floor((pixels[y * side + x] ?? 0) / 25.6)] ?? ' ').join('')
  return Array.from({ length: side / 2 }, (_, half) => row(2 * half))
}

await command(usage, { digit: '4', out: 'saliency.png', model: '' }, async ({ digit, out, model }) => {
  const wanted = wholeNumber(digit, 'digit', [0, 4])
  const net = await digitModel(model)
  const { test } = await digits([0, 1, 2, 3, 4], 1500)
  const pixels = new Uint8Array(side * side)
  await test.read(Int32Array.of(test.labels.indexOf(wanted)), pixels)
  const { answer, strength } = await saliencyOf(net, pixels)
  net.dispose()
  const [image, seen] = [textRows(pixels), textRows(strength)]
  for (const [row, line] of image.entries()) console.log(`${line}  |  ${seen[row]}`)
  console.log(
    `image of ${wanted}, predicted ${net.classNames[answer] ?? answer}; right: the absolute gradient of its score`,
  )

  const both = Buffer.alloc(2 * side * side)
  for (let y = 0; y < side; y++) {
    both.set(pixels.subarray(y * side, (y + 1) * side), 2 * y * side)
    both.set(strength.subarray(y * side, (y + 1) * side), (2 * y + 1) * side)
  }
  const raw = { width: 2 * side, height: side, channels: 1 } as const
  await sharp(both, { raw })
    .resize(16 * side, 8 * side, { kernel: 'nearest' })
    .png()
    .toFile(out)
  console.log(`written to ${out}`)
})
