// Features: normalised activations of fc7 (App. B of the paper) measure the similarity of images. For each query image the
// nearest ones are printed; most are of its class, although the model was not trained on these classes.
// Run: npx tsx examples/nearest.ts [--queries 200] [--model FILE]   (Node 22.18 and later: node examples/nearest.ts)
import { type Dataset, Tensor, type VGG } from 'vggnet'
import { command, wholeNumber } from './command.ts'
import { digitModel, digits } from './digit-model.ts'

const usage = `nearest.ts [--queries N] [--layer NAME] [--model FILE]
  --queries N   number of query images, 1 to 400 (default 200)
  --layer NAME  activations to compare: relu7, relu6, pool5, ... (default relu7)
  --model FILE  a grey 32x32 VGG net (default: trains one on the digits 0 to 4)`

/** Features of each image, normalised to length 1. */
async function featuresOf(net: VGG, data: Dataset, layer: string): Promise<Float32Array[]> {
  const rows: Float32Array[] = []
  const { height, width, channels } = data
  for (let start = 0; start < data.count; start += 100) {
    const indices = Int32Array.from({ length: Math.min(100, data.count - start) }, (_, index) => start + index)
    const pixels = new Uint8Array(indices.length * height * width * channels)
    await data.read(indices, pixels)
    const images = Tensor.from(pixels, [indices.length, height, width, channels])
    const features = (await net.features(images, [layer]))[layer]
    const values = (await features?.data()) ?? new Float32Array()
    const length = values.length / indices.length
    for (const row of indices.keys()) rows.push(normalised(values.subarray(row * length, (row + 1) * length)))
  }
  return rows
}

function normalised(row: Float32Array): Float32Array {
  const norm = Math.hypot(...row)
  return norm === 0 ? row : row.map((value) => value / norm)
}

const cosine = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)

await command(usage, { queries: '200', layer: 'relu7', model: '' }, async ({ queries, layer, model }) => {
  const count = wholeNumber(queries, 'queries', [1, 400])
  const net = await digitModel(model)
  const { training, test } = await digits([5, 6, 7, 8, 9], 1000)
  const known = await featuresOf(net, training, layer)
  const queried = (await featuresOf(net, test, layer)).slice(0, count)
  let right = 0
  for (const [query, features] of queried.entries()) {
    const near = known
      .map((other, index) => ({ index, similarity: cosine(features, other) }))
      .sort((a, b) => b.similarity - a.similarity)
      .slice(0, 5)
    const nameOf = (label = -1): string => training.classNames[label] ?? '?'
    const truth = test.labels[query]
    if (training.labels[near[0]?.index ?? -1] === truth) right += 1
    if (query >= 5) continue
    const shown = near.map(({ index, similarity }) => `${nameOf(training.labels[index])} (${similarity.toFixed(3)})`)
    console.log(`${nameOf(truth)} is nearest to ${shown.join(', ')}`)
  }
  const share = ((100 * right) / queried.length).toFixed(1)
  console.log(`the nearest image is of the same class for ${share} % of ${queried.length}; at random for 20 %`)
  net.dispose()
})
