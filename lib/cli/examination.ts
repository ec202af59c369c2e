import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import process from 'node:process'
import { cudaPlaces } from '../cuda-places.js'
import { machine } from '../load-failure.js'
import { type CudaFile, type CudaReport, type Installation, installation } from '../native.js'
import { Network } from '../network/network.js'
import type { Device } from '../network/open.js'
import { Tensor } from '../tensor.js'
import { readPackage } from './package.js'

/** A device, and whether a tiny multiplication on it came out right. */
export interface Trial {
  device: string
  /** 'AMD EPYC', 'NVIDIA H200'; empty for a card that is not there */
  name: string
  /** 'avx512_core', 'sm_90' */
  architecture: string
  bytes: number
  freeBytes: number
  precision: string
  works: boolean
  /** Why not, in one sentence; empty where it works. */
  obstacle: string
}

/** What `vggnet doctor --json` prints. Texts are empty where there is nothing to say. */
export interface Examination {
  works: boolean
  vggnet: string
  system: { name: string; kernel: string; arch: string; glibc: string; node: string }
  processor: { name: string; processors: number; threads: number; isa: string }
  memory: { bytes: number; freeBytes: number }
  addon: { path: string; buildId: string; compiler: string; debug: boolean; oneDnn: string; obstacle: string }
  cuda: {
    library: CudaReport['library'] & { path: string }
    driver: CudaReport['driver']
    files: CudaFile[]
    /** The folders that were searched for them. */
    searched: string[]
  }
  devices: Trial[]
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function systemName(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? type()
  } catch {
    return type()
  }
}

/** The multiplication: 16 pixels x give 2x + 1 and 4 - 3x, whole numbers that every precision holds. */
async function obstacleOf(net: Network): Promise<string> {
  const pixels = Float32Array.from({ length: 16 }, (_, index) => index)
  await net.setParameter('conv.weight', Tensor.from(Float32Array.of(2, -3), [2, 1, 1, 1]))
  await net.setParameter('conv.bias', Tensor.from(Float32Array.of(1, 4), [2]))
  const output = await net.forward(Tensor.from(pixels, [1, 1, 4, 4]))
  const expected = [...pixels.map((x) => 2 * x + 1), ...pixels.map((x) => 4 - 3 * x)]
  const received = await output.data()
  const wrong = expected.findIndex((value, index) => value !== received[index])
  return wrong === -1 ? '' : `a multiplication gives ${received[wrong]} instead of ${expected[wrong]}`
}

async function tried(device: string): Promise<Pick<Trial, 'precision' | 'works' | 'obstacle'>> {
  const layers = [
    { kind: 'input', channels: 1, mean: [0], scale: [1] },
    { kind: 'convolution', name: 'conv', outputs: 2, kernel: 1 },
  ] as const
  try {
    const net = await Network.create({ layers, device: device as Device, initialisation: 'none' })
    try {
      const obstacle = await obstacleOf(net)
      return { precision: net.precision, works: obstacle === '', obstacle }
    } finally {
      net.dispose()
    }
  } catch (error) {
    return { precision: '', works: false, obstacle: messageOf(error) }
  }
}

const noReport: CudaReport = {
  driver: { path: '', version: '', cards: 0, obstacle: '' },
  library: { buildId: '', versions: '', obstacle: '' },
  cards: [],
}

function cudaOf({ native }: Installation): { cuda: Examination['cuda']; cards: CudaReport['cards'] } {
  const places = cudaPlaces()
  native.setCudaPlaces(places)
  const files = native.findCudaFiles({ folders: places.folders })
  const { library, driver, cards } = native.cudaReport()
  const cuda = { library: { path: places.library, ...library }, driver, files, searched: places.folders }
  return { cuda, cards }
}

async function devicesOf(
  cpu: Omit<Trial, 'precision' | 'works' | 'obstacle'>,
  cards: CudaReport['cards'],
): Promise<Trial[]> {
  const none = { device: 'cuda', name: '', architecture: '', bytes: 0, freeBytes: 0 }
  const devices: Trial[] = []
  for (const device of [cpu, ...(cards.length === 0 ? [none] : cards)]) {
    devices.push({ ...device, ...(await tried(device.device)) })
  }
  return devices
}

/** Looks at everything that decides where vggnet can compute, and lets each device multiply. */
export async function examine(): Promise<Examination> {
  const { version } = await readPackage()
  const { arch, node, glibc = '' } = machine()
  const cpu = cpus()[0]?.model.trim() ?? ''
  const memory = { bytes: totalmem(), freeBytes: process.availableMemory() }
  const parts = {
    vggnet: version,
    system: { name: systemName(), kernel: `${type()} ${release()}`, arch, glibc, node },
    memory,
  }
  const processors = availableParallelism()
  try {
    const installed = installation()
    const { buildId, compiler, debug, oneDnn, isa, threads } = installed.native.buildInfo()
    const { cuda, cards } = cudaOf(installed)
    const devices = await devicesOf({ device: 'cpu', name: cpu, architecture: isa, ...memory }, cards)
    // A card counts where this installation was built for cards.
    const expected = devices.filter(
      ({ device }) => device === 'cpu' || (cuda.library.path !== '' && cuda.driver.obstacle === ''),
    )
    return {
      works: expected.every(({ works }) => works),
      ...parts,
      processor: { name: cpu, processors, threads, isa },
      addon: { path: installed.binary, buildId, compiler, debug, oneDnn, obstacle: '' },
      cuda,
      devices,
    }
  } catch (error) {
    const obstacle = messageOf(error)
    const { driver, library } = noReport
    return {
      works: false,
      ...parts,
      processor: { name: cpu, processors, threads: 0, isa: '' },
      addon: { path: '', buildId: '', compiler: '', debug: false, oneDnn: '', obstacle },
      cuda: { driver, library: { ...library, path: '' }, files: [], searched: [] },
      devices: [],
    }
  }
}
