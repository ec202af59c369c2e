import { execFile } from 'node:child_process'
import { messageOf, VggError } from '../../error.js'
import { Network } from '../../network/network.js'
import type { Device } from '../../network/open.js'
import { cudaLocations, cudaSearch } from '../../platform/cuda/locations.js'
import { type CudaFile, type CudaReport, native } from '../../platform/native.js'
import { Tensor } from '../../tensor.js'

/** A device to be checked. */
export interface Candidate {
  device: string
  /** Model: 'AMD EPYC', 'NVIDIA H200'; empty for a card that does not exist. */
  name: string
  /** Instruction set or compute capability: 'avx512_core', 'sm_90'. */
  architecture: string
  bytes: number
  freeBytes: number
}

/** A device, and whether a small multiplication on it gave the right result. */
export interface DeviceCheck extends Candidate {
  precision: string
  works: boolean
  /** Reason why it does not work, in one sentence; empty where it works. */
  obstacle: string
}

const layers = [
  { kind: 'input', channels: 1, mean: [0], scale: [1] },
  { kind: 'convolution', name: 'conv', outputs: 2, kernel: 1 },
] as const

/** 16 pixels x give 2x + 1 and 4 - 3x, integers that every precision represents exactly. */
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

/** Checks a device by a small multiplication. */
export async function checkDevice(candidate: Candidate): Promise<DeviceCheck> {
  try {
    const device = candidate.device as Device
    const net = await Network.create({ layers, device, initialisation: 'none' })
    try {
      const obstacle = await obstacleOf(net)
      return { ...candidate, precision: net.precision, works: obstacle === '', obstacle }
    } finally {
      net.dispose()
    }
  } catch (error) {
    return {
      ...candidate,
      precision: '',
      works: false,
      // without the advice to call the doctor
      obstacle: messageOf(error instanceof VggError && error.cause instanceof VggError ? error.cause : error),
    }
  }
}

/** Library, driver, files and cards of CUDA. Texts are empty where there is nothing to report. */
export interface CudaExamination {
  library: CudaReport['library'] & { path: string }
  driver: CudaReport['driver']
  files: CudaFile[]
  /** Folders that were searched for the files. */
  searched: string[]
  /** Every visible card, or one entry with the reason why there is none. */
  devices: DeviceCheck[]
}

const noCard = { device: 'cuda', name: '', architecture: '', bytes: 0, freeBytes: 0 }

function filesOf(): Pick<CudaExamination, 'files' | 'searched'> & { path: string } {
  const searched = cudaSearch().searched.map(({ folder }) => folder)
  return { path: cudaLocations().library, searched, files: native().findCudaFiles({ folders: searched }) }
}

/** Opens CUDA in this process and checks every card. A broken driver can crash the process. */
export async function examineCuda(): Promise<CudaExamination> {
  const { path, files, searched } = filesOf()
  native().setCudaLocations(cudaLocations())
  const { library, driver, cards } = native().cudaReport()
  const devices: DeviceCheck[] = []
  for (const card of cards.length === 0 ? [noCard] : cards) devices.push(await checkDevice(card))
  return { library: { path, ...library }, driver, files, searched, devices }
}

const patience = 120_000

/** The last line of a text. */
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)?.trim() ?? ''

/**
 * Runs `examineCuda` in a child process where there is a library to open: a broken driver or cuDNN can crash or block
 * the process, and then the report is needed most.
 * @param words arguments with which this program calls `examineCuda` and prints the result as one line of JSON
 */
export function examineCudaApart(words: readonly string[]): Promise<CudaExamination> {
  const { path, files, searched } = filesOf()
  if (path === '') return examineCuda()
  const program = [...process.execArgv, process.argv[1] ?? '', ...words]
  return new Promise((resolve) => {
    execFile(process.execPath, program, { timeout: patience, killSignal: 'SIGKILL' }, (failure, stdout, stderr) => {
      if (failure === null) return resolve(JSON.parse(lastLine(stdout)))
      const end = failure.killed
        ? 'did not end in two minutes'
        : `ended by ${failure.signal ?? `exit code ${failure.code}`}`
      const output = lastLine(stderr)
      const obstacle = `the process that opened CUDA ${end}${output && `: ${output}`}`
      resolve({
        library: { path, buildId: '', versions: '', obstacle },
        driver: { path: '', version: '', cards: 0, obstacle: '' },
        files,
        searched,
        devices: [{ ...noCard, precision: '', works: false, obstacle }],
      })
    })
  })
}
