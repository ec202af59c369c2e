import pc from 'picocolors'
import { cudaLocations } from '../../platform/cuda/locations.js'
import { type LibrariesStatus, type LibraryStatus, librariesStatus } from '../../platform/cuda/status.js'
import { cacheFolder } from '../../platform/wheels/cache.mjs'
import { bytesHere } from '../../platform/wheels/fetch.mjs'
import { cudaPins, pins } from '../../platform/wheels/pins.mjs'
import { countedText } from '../../table.js'
import { type CudaExamination, examineCudaApart } from '../doctor/cuda-examination.js'
import { section } from '../terminal/sections.js'
import { sizeText } from './progress.js'

/** What `vggnet cuda status --json` prints. */
interface CudaStatus extends LibrariesStatus {
  /** Whether all is there that is needed of NVIDIA's libraries. */
  ready: boolean
  cache: string
  /** Of libraries that an install which was interrupted has fetched so far. */
  bytesBegun: number
  /** libvggnet_cuda.so; the text is empty where it is there. */
  cudaLibrary: { path: string; obstacle: string }
  driver: CudaExamination['driver']
  cards: string[]
  /** What to do next, for people; empty: nothing. */
  next: string
}

function nextOf({ ready, bytesBegun, cudaLibrary, driver }: Omit<CudaStatus, 'next'>): string {
  if (!ready) return `\`npx vggnet cuda install\` ${bytesBegun > 0 ? 'goes on with' : 'fetches'} what is missing`
  if (cudaLibrary.obstacle !== '') return cudaLibrary.obstacle.replace(/^.*?: (?=`)/, '')
  if (driver.version === '') return "install NVIDIA's driver, R580 or later, where there is a card"
  return driver.obstacle === '' ? '`npx vggnet doctor` lets the cards multiply' : driver.obstacle
}

async function statusHere(): Promise<CudaStatus> {
  const cache = cacheFolder(process.env)
  const found = librariesStatus()
  const ready = found.libraries.every(({ needed, found }) => found || !needed)
  const wheels = cudaPins.flatMap((name) => pins[name].wheels)
  const bytesBegun = wheels.reduce((sum, wheel) => sum + bytesHere(cache, wheel), 0)
  const { library: path, noLibrary } = cudaLocations()
  const { driver, devices } = await examineCudaApart(['doctor', '--only-cuda'])
  const cudaLibrary = { path, obstacle: path === '' ? noLibrary : '' }
  const cards = devices.map(({ name }) => name).filter(Boolean)
  const status = { ready, cache, bytesBegun, ...found, cudaLibrary, driver, cards }
  return { ...status, next: nextOf(status) }
}

function libraryFacts({ needed, found, version, folder, from, bytes, missing }: LibraryStatus): string[] {
  const without = needed ? '' : ' (cuDNN does without it, slower)'
  if (folder === '') return [pc.red(`not found${without}`)]
  const head = [version || 'of unknown version', sizeText(bytes), `from ${from}`].join(', ')
  return [head, folder, found ? '' : pc.red(`missing there: ${missing.join(', ')}${without}`)]
}

function driverFacts({ driver, cards }: CudaStatus): string[] {
  if (driver.version === '') return [driver.obstacle]
  const shown = cards.length > 0 ? `: ${cards.join(', ')}` : ''
  return [`for CUDA ${driver.version}, ${countedText(driver.cards, 'card')} visible${shown}`, driver.obstacle]
}

function text(status: CudaStatus, width: number): string {
  const { libraries, passedOver, cudaLibrary, cache, bytesBegun, next } = status
  const sections: [string, string[]][] = [
    ...libraries.map((library): [string, string[]] => [library.name, libraryFacts(library)]),
    ['not used', [...passedOver]],
    [
      'begun',
      [bytesBegun > 0 ? `${sizeText(bytesBegun)} fetched by an install that was interrupted, in ${cache}` : ''],
    ],
    ['vggnet', [cudaLibrary.path || cudaLibrary.obstacle]],
    ['driver', driverFacts(status)],
    ['next', [next]],
  ]
  return sections
    .map(([title, facts]) => section(title, facts, width))
    .filter(Boolean)
    .join('\n')
}

/** `vggnet cuda status`. */
export async function showCuda({ json }: { json?: true }): Promise<void> {
  const status = await statusHere()
  console.log(json ? JSON.stringify(status, null, 2) : text(status, process.stdout.columns || 80))
  process.exitCode = status.ready ? 0 : 1
}
