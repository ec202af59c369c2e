import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { messageOf } from '../../error.js'
import { tuningInForce } from '../../platform/kept-tuning.js'
import { machine } from '../../platform/load/failure.js'
import { addonFiles, fileFault, manifestOf } from '../../platform/load/manifest.js'
import { installation } from '../../platform/native.js'
import { packageRoot, packageVersion } from '../../platform/package.js'
import { cacheFolder } from '../../platform/wheels/cache.mjs'
import type { CudaExamination } from './cuda-examination.js'
import type { Facts } from './facts.js'
import { instructionSets, limitsHere } from './limits.js'
import { tried } from './trial.js'
import { type Verdict, verdictsOf } from './verdicts.js'

/** What `vggnet doctor --json` prints. */
export interface Examination extends Facts {
  /** What works, what does not, what to type. */
  verdicts: Verdict[]
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? type()
  } catch {
    return type()
  }
}

/** Whether files can be made in a folder, or in the first one above it that exists. */
function isWritable(folder: string): boolean {
  if (!existsSync(folder)) return folder !== path.dirname(folder) && isWritable(path.dirname(folder))
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return statSync(folder).isDirectory()
  } catch {
    return false
  }
}

function pathsHere(): Examination['paths'] {
  const root = packageRoot()
  const cache = cacheFolder(process.env)
  const checkout = existsSync(path.join(root, 'native'))
  return { root, checkout, node: process.execPath, cache, cacheWritable: isWritable(cache) }
}

async function machineOf() {
  const { arch, node, glibc = '' } = machine()
  const { processors: quota, bytes: limitBytes, affinity } = limitsHere()
  return {
    vggnet: packageVersion(),
    system: { name: systemName(), kernel: `${type()} ${release()}`, arch, glibc, node },
    paths: pathsHere(),
    processor: {
      name: cpus()[0]?.model.trim() ?? '',
      processors: availableParallelism(),
      online: cpus().length,
      affinity,
      quota,
      instructionSets: instructionSets(),
    },
    memory: { bytes: totalmem(), freeBytes: process.availableMemory(), limitBytes },
  }
}

/** The libraries that the addon is loaded with, and what a manifest says against them. */
function librariesBeside(binary: string): Examination['addon']['libraries'] {
  const folder = path.dirname(binary)
  const manifest = manifestOf(binary)
  const names = manifest ? addonFiles(manifest) : readdirSync(folder).filter((name) => /\.so\.\d+$/.test(name))
  return names.map((name) => {
    const fault = manifest && fileFault(folder, name, manifest)?.text
    return { name, path: path.join(folder, name), fault: fault ?? '' }
  })
}

function addonOf(): Examination['addon'] {
  try {
    const { native, binary } = installation()
    return { path: binary, libraries: librariesBeside(binary), ...native.buildInfo(), obstacle: '' }
  } catch (error) {
    const obstacle = messageOf(error)
    const none = {
      path: '',
      buildId: '',
      compiler: '',
      debug: false,
      oneDnn: '',
      libjpegTurbo: '',
      isa: '',
      threads: 0,
    }
    return { ...none, libraries: [], obstacle }
  }
}

const judged = (found: Facts): Examination => ({ ...found, verdicts: verdictsOf(found) })

/**
 * Looks at everything that decides where vggnet can compute, and lets each device multiply.
 * @param examineCuda looks at what there is of CUDA
 */
export async function examine(examineCuda: () => Promise<CudaExamination>): Promise<Examination> {
  const here = await machineOf()
  const addon = addonOf()
  if (addon.obstacle !== '') return judged({ works: false, ...here, addon, devices: [] })
  const tuning = tuningInForce()
  const cpu = await tried({ device: 'cpu', name: here.processor.name, architecture: addon.isa, ...here.memory })
  const { devices: cards, ...cuda } = await examineCuda()
  // No failure: a machine without a card, and an installation that was not built for cards.
  const expected = cuda.library.path !== '' && cuda.driver.obstacle === '' ? [cpu, ...cards] : [cpu]
  const works = expected.every((device) => device.works)
  return judged({ works, ...here, addon, cuda, tuning, devices: [cpu, ...cards] })
}
