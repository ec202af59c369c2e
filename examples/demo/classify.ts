import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { type Dataset, Random } from 'vggnet'
import { commandLine } from '../command.ts'

/** A digit and its classification by the loaded model. */
export interface Classified {
  /** Grey pixels, uint8 [32, 32]. */
  pixels: Uint8Array
  /** Name of the true class. */
  truth: string
  /** Name of the predicted class. */
  answer: string
  /** Probability of the prediction, 0 to 1. */
  probability: number
}

/** Indices of one random image of each class. */
function onePerClass(data: Dataset, seed: number): Int32Array {
  const random = new Random(seed)
  return Int32Array.from(data.classNames, (_, label) => {
    const members = [...data.labels.keys()].filter((index) => data.labels[index] === label)
    return members[random.integer(members.length)] ?? 0
  })
}

/** Writes ten held-out digits as PNG files, and classifies them with the saved model in a new process. */
export async function classifyTen(model: string, data: Dataset, seed: number): Promise<Classified[]> {
  const chosen = onePerClass(data, seed)
  const bytes = data.height * data.width
  const pixels = new Uint8Array(chosen.length * bytes)
  await data.read(chosen, pixels)
  const folder = path.join(path.dirname(model), 'digits')
  await mkdir(folder, { recursive: true })
  const images = Array.from(chosen, (_, index) => pixels.subarray(index * bytes, (index + 1) * bytes))
  const files = data.classNames.map((name) => path.join(folder, `${name}.png`))
  const raw = { width: data.width, height: data.height, channels: 1 } as const
  await Promise.all(files.map((file, index) => sharp(images[index], { raw }).png().toFile(file)))

  const { stdout } = await promisify(execFile)(process.execPath, [commandLine, 'classify', model, ...files, '--json'])
  const found = JSON.parse(stdout) as { answers: { class: string; probability: number }[] }[]
  return images.map((image, index) => {
    const [answer] = found[index]?.answers ?? []
    const truth = data.classNames[index] ?? ''
    return { pixels: image, truth, answer: answer?.class ?? '?', probability: answer?.probability ?? 0 }
  })
}
