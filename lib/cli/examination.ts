import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import process from 'node:process'
import { messageOf } from '../error.js'
import { type TuningInForce, tuningInForce } from '../kept-tuning.js'
import { machine } from '../load-failure.js'
import { installation } from '../native.js'
import { packageVersion } from '../package.js'
import type { CudaExamination } from './cuda-examination.js'
import { type Trial, tried } from './trial.js'

/** What `vggnet doctor --json` prints. Texts are empty where there is nothing to say. */
export interface Examination {
  /** Whether everything computes that this installation is built for. */
  works: boolean
  vggnet: string
  system: { name: string; kernel: string; arch: string; glibc: string; node: string }
  processor: { name: string; processors: number }
  memory: { bytes: number; freeBytes: number }
  addon: {
    path: string
    buildId: string
    compiler: string
    debug: boolean
    oneDnn: string
    isa: string
    threads: number
    /** Why it does not load. */
    obstacle: string
  }
  /** Undefined where the addon does not load. */
  cuda?: Omit<CudaExamination, 'devices'>
  /** Of the cpu's convolutions; undefined where the addon does not load. */
  tuning?: TuningInForce
  devices: Trial[]
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? type()
  } catch {
    return type()
  }
}

async function machineOf() {
  const { arch, node, glibc = '' } = machine()
  return {
    vggnet: packageVersion(),
    system: { name: systemName(), kernel: `${type()} ${release()}`, arch, glibc, node },
    processor: { name: cpus()[0]?.model.trim() ?? '', processors: availableParallelism() },
    memory: { bytes: totalmem(), freeBytes: process.availableMemory() },
  }
}

function addonOf(): Examination['addon'] {
  try {
    const { native, binary: path } = installation()
    return { path, ...native.buildInfo(), obstacle: '' }
  } catch (error) {
    const obstacle = messageOf(error)
    return { path: '', buildId: '', compiler: '', debug: false, oneDnn: '', isa: '', threads: 0, obstacle }
  }
}

/**
 * Looks at everything that decides where vggnet can compute, and lets each device multiply.
 * @param examineCuda looks at what there is of CUDA
 */
export async function examine(examineCuda: () => Promise<CudaExamination>): Promise<Examination> {
  const here = await machineOf()
  const addon = addonOf()
  if (addon.obstacle !== '') return { works: false, ...here, addon, devices: [] }
  const tuning = tuningInForce()
  const cpu = await tried({ device: 'cpu', name: here.processor.name, architecture: addon.isa, ...here.memory })
  const { devices: cards, ...cuda } = await examineCuda()
  // No failure: a machine without a card, and an installation that was not built for cards.
  const expected = cuda.library.path !== '' && cuda.driver.obstacle === '' ? [cpu, ...cards] : [cpu]
  return { works: expected.every(({ works }) => works), ...here, addon, cuda, tuning, devices: [cpu, ...cards] }
}
