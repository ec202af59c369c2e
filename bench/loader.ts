// Images per second of the loader without a network: random 224 crops, interleaved with PyTorch's DataLoader.
//   npx tsx bench/loader.ts --peer PYTHON      a Python with torch, pillow and numpy
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import path from 'node:path'
import { Command } from 'commander'
import sharp from 'sharp'
import { cachedDataset } from '../lib/data/cache/cache.js'
import type { Dataset } from '../lib/data/dataset.js'
import { Loader } from '../lib/data/loader.js'
import { photoDataset } from '../lib/data/sources/photo-dataset.js'
import type { PhotoList } from '../lib/data/sources/photo-list.js'
import { type Contender, interleaved, median } from '../lib/measure/interleaved.js'
import { Random } from '../lib/random.js'
import { BaselineProcess } from './baseline-process.mjs'
import { script } from './baselines.js'
import { whole } from './flags.js'
import { machineOf, machineText } from './tables.js'

interface Flags {
  readonly images: number
  readonly batch: number
  readonly rounds: number
  readonly seconds: number
  readonly workers: number
  readonly jitter?: true
  readonly width: number
  readonly peer?: string
}

const flags = new Command('npx tsx bench/loader.ts')
  .description(
    'Measures the images per second of the loader without a network: decoding, rescaling to S = 256, cropping to 224, flipping.',
  )
  .option('--images <n>', 'JPEG files of 4:3, written first', whole, 512)
  .option('--batch <n>', 'images per batch', whole, 64)
  .option('--rounds <n>', 'interleaved rounds', whole, 6)
  .option('--seconds <s>', 'time of one round', whole, 4)
  .option(
    '--workers <n>',
    'workers of the DataLoader, and images that vggnet decodes at once',
    whole,
    availableParallelism(),
  )
  .option('--width <pixels>', 'longer side of the files; 500 as in ImageNet', whole, 500)
  .option('--jitter', 'random S from [256, 512] instead of 256')
  .option('--peer <python>', 'Python with torch, pillow and numpy; its DataLoader is the baseline')
  .parse()
  .opts<Flags>()

/** Writes JPEGs of smooth noise on several scales. At 500 pixels their sizes, quality and bytes are about those of ImageNet. */
async function makeImages(folder: string, count: number): Promise<PhotoList> {
  const random = new Random(1)
  const sources: string[] = []
  for (let index = 0; index < count; index++) {
    const longer = flags.width
    const other = Math.round(longer * random.uniform(0.666, 0.786))
    const [width, height] = random.integer(4) === 0 ? [other, longer] : [longer, other]
    const file = path.join(folder, `class-${index % 8}`, `${index}.jpg`)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, await smoothNoise(random, width, height))
    sources.push(file)
  }
  const labels = Int32Array.from(sources, (_, index) => index % 8)
  const classNames = Array.from({ length: 8 }, (_, index) => `class-${index}`)
  return { sources, names: sources, labels, classNames }
}

async function smoothNoise(random: Random, width: number, height: number): Promise<Buffer> {
  const sum = new Float32Array(width * height * 3).fill(128)
  for (const [cells, strength] of [
    [4, 70],
    [16, 40],
    [64, 28],
    [250, 22],
  ] as const) {
    const rows = Math.ceil((cells * height) / width)
    const noise = Uint8Array.from({ length: cells * rows * 3 }, () => random.integer(256))
    const scaled = await sharp(noise, { raw: { width: cells, height: rows, channels: 3 } })
      .resize(width, height, { fit: 'fill', kernel: 'cubic' })
      .raw()
      .toBuffer()
    for (let position = 0; position < sum.length; position++) {
      sum[position] = (sum[position] ?? 0) + ((scaled[position] ?? 0) - 128) * (strength / 64)
    }
  }
  const pixels = Uint8Array.from(sum, (value) => Math.max(0, Math.min(255, value)))
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer()
}

/** Milliseconds of processor time of this process until now, all its threads. */
const processorTime = () => (({ user, system }) => (user + system) / 1000)(process.cpuUsage())

interface NamedContender extends Contender {
  readonly name: string
  /** Processor time per image of each round, in milliseconds. A busy machine disturbs it less than the time that passes. */
  readonly processorMs: number[]
}

function ours(name: string, data: Dataset): NamedContender {
  const reads = new Set<Promise<unknown>>()
  const readAugmented: Dataset['readAugmented'] = async (...given) => {
    const read = data.readAugmented?.(...given) ?? Promise.reject(new Error('no images'))
    reads.add(read)
    return read.finally(() => reads.delete(read))
  }
  const loader = new Loader({ ...data, readAugmented }, { batch: flags.batch, seed: 1 })
  const processorMs: number[] = []
  return {
    name,
    processorMs,
    async round(milliseconds) {
      // batches that are ready were read before this round
      for (let step = 0; step < 4; step++) await loader.next()
      let images = 0
      const [start, used] = [performance.now(), processorTime()]
      while (performance.now() - start < milliseconds) images += (await loader.next()).labels.length
      const each = (performance.now() - start) / images
      processorMs.push((processorTime() - used) / images)
      // reads ahead must not continue in another contender's round
      await Promise.all(reads)
      return each
    },
  }
}

/** PyTorch's DataLoader. Its workers are stopped between its rounds, as they read ahead. */
function dataLoader(python: string, folder: string, elements: 'uint8' | 'float32'): BaselineProcess {
  const smallest = flags.jitter ? ['256', '512'] : ['256', '256']
  const sizes = [String(flags.batch), String(flags.workers), ...smallest]
  const args = [script('baseline_loader.py'), folder, ...sizes, elements]
  return new BaselineProcess({ program: python, args, between: 'stopped', signalled: 'group' })
}

/** Time limit, besides the round, for reading what is ready and for the start of the processes. */
const waitSeconds = 60

function contenderOf(baseline: BaselineProcess, name: string): NamedContender {
  const processorMs: number[] = []
  return {
    name,
    processorMs,
    async round(milliseconds) {
      const answer = await baseline.ask({ do: 'round', milliseconds }, milliseconds / 1000 + waitSeconds)
      processorMs.push(Number(answer.processor))
      return Number(answer.milliseconds)
    },
  }
}

const folder = await mkdtemp(path.join(tmpdir(), 'vggnet-bench-loader-'))
const baselines: BaselineProcess[] = []
try {
  const list = await makeImages(path.join(folder, 'images'), flags.images)
  const smallestSide = flags.jitter ? ([256, 512] as const) : 256
  const options = { crop: 224, smallestSide, workers: flags.workers }
  const cached = cachedDataset(list, { ...options, cache: path.join(folder, 'cache') })
  const begun = performance.now()
  await cached.prepare()
  const cachingMs = (performance.now() - begun) / flags.images
  const contenders = [ours('decoding', photoDataset(list, options)), ours('from the cache', cached)]
  let versions = {}
  for (const elements of flags.peer === undefined ? [] : (['uint8', 'float32'] as const)) {
    const baseline = dataLoader(flags.peer ?? '', path.join(folder, 'images'), elements)
    baselines.push(baseline)
    versions = await baseline.ask({ do: 'versions' }, waitSeconds)
    contenders.push(contenderOf(baseline, `DataLoader, ${elements}`))
  }
  const { times } = await interleaved(contenders, { rounds: flags.rounds, milliseconds: flags.seconds * 1000 })
  console.log(machineText(machineOf({ sharp: sharp.versions.sharp ?? '', vips: sharp.versions.vips, ...versions })))
  const files = `${flags.images} JPEG files, batch ${flags.batch}, ${flags.workers} workers`
  console.log(`${files}; the cache was written at ${(1000 / cachingMs).toFixed(0)} images/s`)
  const reference = times[contenders.findIndex(({ name }) => name === 'DataLoader, uint8')]
  for (const [index, { minimumMs, medianMs }] of times.entries()) {
    const { name = '', processorMs = [] } = contenders[index] ?? {}
    const ratio = reference ? `  ${(reference.medianMs / medianMs).toFixed(2)} of the DataLoader's` : ''
    const rate = (milliseconds: number) => (1000 / milliseconds).toFixed(0).padStart(6)
    const processor = median(processorMs).toFixed(2)
    console.log(
      `${name.padEnd(20)} ${rate(medianMs)} images/s (best round ${rate(minimumMs)}), ${processor} ms of processor each${ratio}`,
    )
  }
} finally {
  for (const baseline of baselines) baseline.close()
  await rm(folder, { recursive: true, force: true })
}
