// Images per second that reach a network, without one: random 224 crops of images, beside PyTorch's DataLoader.
//   npx tsx bench/loader.ts --peer <a Python with torch, pillow and numpy>
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import sharp from 'sharp'
import { cachedDataset } from '../lib/data/cache/cache.js'
import type { Dataset } from '../lib/data/dataset.js'
import { Loader } from '../lib/data/loader.js'
import { photoDataset } from '../lib/data/sources/photo-dataset.js'
import type { PhotoList } from '../lib/data/sources/photo-list.js'
import { type Contender, interleaved, timesOf } from '../lib/measure/interleaved.js'
import { Random } from '../lib/random.js'
import { machineOf, machineText } from './machine.js'
import { PeerProcess } from './peer-process.js'

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

function positive(value: string): number {
  const read = Number(value)
  if (!(Number.isInteger(read) && read > 0)) throw new InvalidArgumentError('Expected an integer above 0.')
  return read
}

const flags = new Command('npx tsx bench/loader.ts')
  .description(
    'Images per second of the loader without a network: decoded, rescaled to S = 256, cropped to 224, flipped.',
  )
  .option('--images <n>', 'JPEG files of 4:3, made first', positive, 512)
  .option('--batch <n>', 'images a batch', positive, 64)
  .option('--rounds <n>', 'times that each takes its turn', positive, 6)
  .option('--seconds <s>', 'of one round', positive, 4)
  .option('--workers <n>', 'of the DataLoader, and images decoded at once by us', positive, availableParallelism())
  .option('--width <pixels>', 'of the longer side of the files; 500 is ImageNet, 1600 a small image', positive, 500)
  .option('--jitter', 'S drawn from [256, 512] instead of 256')
  .option('--peer <python>', 'a Python with torch, pillow and numpy, for turns with its DataLoader')
  .parse()
  .opts<Flags>()

/** Photo-like: smooth noise on several scales; at 500 pixels sizes, quality and bytes are about ImageNet's. */
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

/** Milliseconds of processor time of this process so far, all its threads. */
const processorTime = () => (({ user, system }) => (user + system) / 1000)(process.cpuUsage())

/** Processor time per image of each contender, all rounds together: what a busy machine disturbs least. */
const processorMs = new Map<string, number[]>()
const note = (name: string, each: number) => processorMs.set(name, [...(processorMs.get(name) ?? []), each])

function ours(name: string, data: Dataset): Contender {
  const reads = new Set<Promise<unknown>>()
  const readAugmented: Dataset['readAugmented'] = async (...given) => {
    const read = data.readAugmented?.(...given) ?? Promise.reject(new Error('no images'))
    reads.add(read)
    return read.finally(() => reads.delete(read))
  }
  const loader = new Loader({ ...data, readAugmented }, { batch: flags.batch, seed: 1 })
  return {
    name,
    async round(milliseconds) {
      // What is ready already was read in another's turn.
      for (let step = 0; step < 4; step++) await loader.next()
      let images = 0
      const [start, used] = [performance.now(), processorTime()]
      while (performance.now() - start < milliseconds) images += (await loader.next()).labels.length
      const each = (performance.now() - start) / images
      note(name, (processorTime() - used) / images)
      // What was begun ahead must not run on in another's turn.
      await Promise.all(reads)
      return each
    },
  }
}

/** PyTorch's DataLoader: bench/peer_loader.py, whose workers would go on reading ahead in another's turn. */
function dataLoader(python: string, folder: string, elements: 'uint8' | 'float32'): PeerProcess {
  const script = fileURLToPath(new URL('peer_loader.py', import.meta.url))
  const smallest = flags.jitter ? ['256', '512'] : ['256', '256']
  const words = [script, folder, String(flags.batch), String(flags.workers), ...smallest, elements]
  return new PeerProcess({ program: python, words, between: 'stopped', signalled: 'group' })
}

/** Besides a round: reading what is ready, and the start of the processes. */
const patience = 60

function contenderOf(peer: PeerProcess, name: string): Contender {
  return {
    name,
    async round(milliseconds) {
      const answer = await peer.ask({ do: 'round', milliseconds }, milliseconds / 1000 + patience)
      note(name, Number(answer.processor))
      return Number(answer.milliseconds)
    },
  }
}

const folder = await mkdtemp(path.join(tmpdir(), 'vggnet-bench-loader-'))
const peers: PeerProcess[] = []
try {
  const list = await makeImages(path.join(folder, 'images'), flags.images)
  const smallestSide = flags.jitter ? ([256, 512] as const) : 256
  const options = { crop: 224, smallestSide, workers: flags.workers }
  const cached = cachedDataset(list, { ...options, cache: path.join(folder, 'cache') })
  const begun = performance.now()
  await cached.prepare()
  const making = (performance.now() - begun) / flags.images
  const contenders = [ours('decoding', photoDataset(list, options)), ours('from the cache', cached)]
  let versions = {}
  for (const elements of flags.peer === undefined ? [] : (['uint8', 'float32'] as const)) {
    const peer = dataLoader(flags.peer ?? '', path.join(folder, 'images'), elements)
    peers.push(peer)
    versions = await peer.ask({ do: 'versions' }, patience)
    contenders.push(contenderOf(peer, `DataLoader, ${elements}`))
  }
  const found = await interleaved(contenders, flags.rounds, flags.seconds * 1000)
  console.log(machineText(machineOf({ sharp: sharp.versions.sharp ?? '', vips: sharp.versions.vips, ...versions })))
  const files = `${flags.images} JPEG files, batch ${flags.batch}, ${flags.workers} workers`
  console.log(`${files}; the cache was made at ${(1000 / making).toFixed(0)} images/s`)
  const rival = found.get('DataLoader, uint8')
  for (const [name, { minimumMs, medianMs }] of found) {
    const ratio = rival ? `  ${(rival.medianMs / medianMs).toFixed(2)} of the DataLoader's` : ''
    const rate = (milliseconds: number) => (1000 / milliseconds).toFixed(0).padStart(6)
    const processor = timesOf(processorMs.get(name) ?? []).medianMs.toFixed(2)
    console.log(
      `${name.padEnd(20)} ${rate(medianMs)} images/s (best round ${rate(minimumMs)}), ${processor} ms of processor each${ratio}`,
    )
  }
} finally {
  for (const peer of peers) peer.close()
  await rm(folder, { recursive: true, force: true })
}
