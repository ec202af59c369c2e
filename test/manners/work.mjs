// What a process can be busy with, each by a name: small nets, because what happens around them is tested.
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import sharp from 'sharp'
import { arrayDataset, load, photoDataset, save, Tensor, train, VGG } from 'vggnet'
import { options } from './small-net.mjs'

const side = options.imageSize
const how = { learningRate: 0.01, momentum: 0.9 }
const labelsOf = (count) => Array.from({ length: count }, (_, index) => index % options.classes)

/** Images for the net of `options`: float32, n c h w. */
export const imagesOf = (count) => Tensor.randn([count, 3, side, side], { seed: 1, mean: 127, std: 60 })

/** Numbers that are the same wherever and whenever they are computed. */
export async function computed() {
  const net = await VGG.create(options)
  const losses = []
  for (let step = 0; step < 5; step++) losses.push((await net.step(imagesOf(4), labelsOf(4), how)).loss)
  const logits = [...(await (await net.forward(imagesOf(2))).data())]
  net.dispose()
  return JSON.stringify({ losses, logits })
}

// A name that no other process or thread takes.
const newName = (folder, ending) => path.join(folder, `${randomUUID()}.${ending}`)

async function photosIn(folder) {
  const file = newName(folder, 'jpg')
  const noise = { type: 'gaussian', mean: 128, sigma: 40 }
  await writeFile(
    file,
    await sharp({ create: { width: 300, height: 200, channels: 3, noise } })
      .jpeg()
      .toBuffer(),
  )
  const list = {
    sources: Array(4).fill(file),
    names: ['a', 'b', 'c', 'd'],
    labels: new Int32Array(4),
    classNames: ['x'],
  }
  return photoDataset(list, { crop: 64 })
}

/**
 * @param folder for files
 * @returns functions by name; each does its work once
 */
export async function works(folder) {
  const net = await VGG.create(options)
  const [images, labels] = [imagesOf(4), labelsOf(4)]
  const photos = await photosIn(folder)
  const file = newName(folder, 'safetensors')
  const data = arrayDataset({
    images: new Uint8Array(20 * side * side * 3).map((_, index) => (index * 7919) % 256),
    shape: [20, side, side, 3],
    labels: Int32Array.from(labelsOf(20)),
    classNames: ['a', 'b', 'c', 'd', 'e'],
  })
  // more sizes than plans are kept; made once, because malloc keeps what garbage of megabytes has taken
  const batches = Array.from({ length: 40 }, (_, index) => [imagesOf(index + 1), labelsOf(index + 1)])
  let batch = 0
  const made = async (use) => {
    const other = await VGG.create(options)
    await use(other)
    return other
  }
  return {
    step: () => net.step(images, labels, how),
    forward: () => net.forward(images),
    create: async () => (await made(() => undefined)).dispose(),
    'create and forward': async () => (await made((other) => other.forward(images))).dispose(),
    'create and drop': async () => void (await made((other) => other.forward(images))),
    'other batch sizes': async () => {
      batch = (batch + 1) % batches.length
      const [these, theirs] = batches[batch]
      await net.forward(these)
      await net.step(these, theirs, how)
    },
    tensors: async () => {
      const tensor = Tensor.randn([8, 100], { seed: 1 })
      await (await tensor.slice(2, 6).softmax()).topk(3)
      tensor.dispose()
    },
    save: () => save(net, file),
    'save and load': async () => {
      await save(net, file)
      const other = await load(file, { device: 'cpu', threads: 2 })
      other.dispose()
    },
    train: async () => {
      await train(net, data, { epochs: 1, batch: 10, ...how })
    },
    decode: () => photos.read(Int32Array.of(0, 1, 2, 3), new Uint8Array(4 * 64 * 64 * 3)),
  }
}
