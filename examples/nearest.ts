// Features: normalised activations of fc7 (App. B of the paper) measure the similarity of images. For each query image the
// nearest ones are printed; most are of its class, although the model was not trained on these classes.
// Run: npx tsx examples/nearest.ts [--queries 200] [--model FILE]   (Node 22.18 and later: node examples/nearest.ts)
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { embed, embedToFile, nearest, Tensor } from 'vggnet'
import { command, wholeNumber } from './command.ts'
import { digitModel, digits } from './digit-model.ts'

const usage = `nearest.ts [--queries N] [--layer NAME] [--model FILE]
  --queries N   number of query images, 1 to 400 (default 200)
  --layer NAME  activations to compare: relu7, relu6, pool5, ... (default relu7)
  --model FILE  a grey 32x32 VGG net (default: trains one on the digits 0 to 4)`

await command(usage, { queries: '200', layer: 'relu7', model: '' }, async ({ queries, layer, model }) => {
  const count = wholeNumber(queries, 'queries', [1, 400])
  const net = await digitModel(model)
  const { training, test } = await digits([5, 6, 7, 8, 9], 1000)
  const folder = mkdtempSync(path.join(tmpdir(), 'nearest-'))
  const file = path.join(folder, 'features.safetensors')
  await embedToFile(net, training, file, { layers: [layer] })
  const { features, labels } = await embed(net, test, { layers: [layer] })
  const [, length = 0] = features.shape
  const asked = Tensor.from((await features.data()).slice(0, count * length), [count, length])
  const found = await nearest(file, asked, { top: 5 })
  let right = 0
  for (const [query, near] of found.entries()) {
    const truth = test.classNames[labels[query] ?? -1]
    if (near[0]?.class === truth) right += 1
    if (query >= 5) continue
    const shown = near.map((one) => `${one.class} (${one.similarity.toFixed(3)})`)
    console.log(`${truth} is nearest to ${shown.join(', ')}`)
  }
  const share = ((100 * right) / found.length).toFixed(1)
  console.log(`the nearest image is of the same class for ${share} % of ${found.length}; at random for 20 %`)
  rmSync(folder, { recursive: true })
  net.dispose()
})
