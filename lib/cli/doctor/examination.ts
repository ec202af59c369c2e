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
import { cacheExposure } from '../../platform/wheels/private.mjs'
import { type CudaExamination, checkDevice } from './devices.js'
import { type Diagnosis, diagnosesOf, type Facts } from './diagnoses.js'
import { instructionSets, limitsHere } from './limits.js'

/** Output of `vggnet doctor --json`. */
export interface Examination extends Facts {
  /** Conclusions from the facts, with commands to fix problems. */
  diagnoses: Diagnosis[]
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? type()
  } catch {
    return type()
  }
}

/** Whether files can be created in a folder, or in its first existing parent. */
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
  const checkout = existsSync(path.join(root, 'scripts'))
  const [cacheWritable, exposure] = [isWritable(cache), cacheExposure(cache)]
  return { root, checkout, node: process.execPath, cache, cacheWritable, cacheExposure: exposure }
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

/** Libraries beside the addon, with their faults by the manifest. */
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

const withDiagnoses = (found: Facts): Examination => ({ ...found, diagnoses: diagnosesOf(found) })

/**
 * Examines everything that decides where vggnet can compute, and checks each device.
 * @param examineCuda examines CUDA
 */
export async function examine(examineCuda: () => Promise<CudaExamination>): Promise<Examination> {
  const here = await machineOf()
  const addon = addonOf()
  if (addon.obstacle !== '') return withDiagnoses({ works: false, ...here, addon, devices: [] })
  const tuning = tuningInForce()
  const cpu = await checkDevice({ device: 'cpu', name: here.processor.name, architecture: addon.isa, ...here.memory })
  const { devices: cards, ...cuda } = await examineCuda()
  // a machine without a card, or an installation without CUDA, is not a failure
  const expected = cuda.library.path !== '' && cuda.driver.obstacle === '' ? [cpu, ...cards] : [cpu]
  const works = expected.every((device) => device.works)
  return withDiagnoses({ works, ...here, addon, cuda, tuning, devices: [cpu, ...cards] })
}
