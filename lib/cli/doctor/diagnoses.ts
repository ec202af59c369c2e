import type { TuningInForce } from '../../platform/kept-tuning.js'
import type { CudaExamination, DeviceCheck } from './devices.js'

/** A conclusion about this installation, with its fix. */
export interface Diagnosis {
  readonly kind: 'works' | 'fails' | 'hint'
  /** The conclusion, in a sentence. */
  readonly text: string
  /** Command or action that fixes it; empty where nothing is to be done. */
  readonly cure: string
}

/** The fix in the message of a load error. */
const cureIn = (message: string): string => /^Cure: (.*)$/m.exec(message)?.[1] ?? ''

function processorDiagnosis({ addon, devices }: Facts): Diagnosis {
  if (addon.obstacle !== '')
    return { kind: 'fails', text: 'vggnet does not load, so nothing can be computed', cure: cureIn(addon.obstacle) }
  const cpu = devices.find(({ device }) => device === 'cpu')
  if (cpu?.works)
    return { kind: 'works', text: "device 'cpu': a small multiplication gives the right result", cure: '' }
  const cure = '`npx vggnet doctor --json` in a bug report'
  return { kind: 'fails', text: `device 'cpu' does not compute: ${cpu?.obstacle}`, cure }
}

/** The command in a text, in backquotes; empty where there is none. */
const commandIn = (text: string): string => /`[^`]+`/.exec(text)?.[0] ?? ''

function cardDiagnoses({ cuda, devices }: Facts): Diagnosis[] {
  if (cuda === undefined) return []
  const cards = devices.filter(({ device }) => device !== 'cpu')
  const { driver, library } = cuda
  // a driver without path and obstacle is unknown: the process that examined it crashed
  if (driver.path === '' && driver.obstacle !== '') {
    const text = 'no NVIDIA driver, so no card can be used'
    return [{ kind: 'hint', text, cure: "with a card: install NVIDIA's driver, R580 or later" }]
  }
  if (driver.obstacle !== '') return [{ kind: 'hint', text: `no card is used: ${driver.obstacle}`, cure: '' }]
  if (library.path === '') {
    const text = `the cards are not used: ${library.obstacle}`
    return [{ kind: 'hint', text, cure: commandIn(library.obstacle) }]
  }
  return cards.map(({ device, works, precision, obstacle }): Diagnosis => {
    if (works)
      return {
        kind: 'works',
        text: `device '${device}': a small multiplication in ${precision} gives the right result`,
        cure: '',
      }
    return {
      kind: 'fails',
      text: obstacle,
      cure: commandIn(obstacle) || '`npx vggnet cuda status` shows the libraries',
    }
  })
}

function packageDiagnoses({ addon, paths }: Facts): Diagnosis[] {
  const faults = addon.libraries.filter(({ fault }) => fault !== '')
  const cure = 'reinstall the package, or find out what changed it'
  const damaged = faults.map(({ name, fault }): Diagnosis => ({ kind: 'hint', text: `${name} ${fault}`, cure }))
  if (paths.cacheExposure !== '') {
    const [fault, ...more] = paths.cacheExposure.split(/: (?=`|VGGNET_CACHE=)/)
    const text = `nothing of the cache is used, NVIDIA's libraries and tunings included: ${fault}`
    return [...damaged, { kind: 'hint', text, cure: more.join(': ') }]
  }
  if (paths.cacheWritable) return damaged
  const text = `the cache ${paths.cache} is not writable: every start checks the binary again (0.1 s), and tunings cannot be kept`
  return [...damaged, { kind: 'hint', text, cure: 'set VGGNET_CACHE=FOLDER to another folder' }]
}

function speedDiagnoses({ processor, addon, tuning }: Facts): Diagnosis[] {
  if (addon.obstacle !== '') return []
  const found: Diagnosis[] = []
  const { quota } = processor
  if (quota !== null && quota < addon.threads) {
    const text = `the control group allows ${quota} processors, but ${addon.threads} threads would share them`
    found.push({
      kind: 'hint',
      text,
      cure: `\`threads: ${Math.max(1, Math.floor(quota))}\` in the network's options`,
    })
  }
  if (processor.instructionSets.length === 0)
    found.push({ kind: 'hint', text: 'the processor has no AVX2, so computing is slow', cure: '' })
  if (addon.debug) found.push({ kind: 'hint', text: 'this is the build with sanitizers, which is slow', cure: '' })
  if (tuning?.source === 'default' && process.env.VGGNET_TUNING !== 'off')
    found.push({ kind: 'hint', text: 'not tuned for this processor', cure: '`npx vggnet tune`, under a minute' })
  return found
}

/** The conclusions from the facts, with commands to fix problems. */
export const diagnosesOf = (found: Facts): Diagnosis[] => [
  processorDiagnosis(found),
  ...cardDiagnoses(found),
  ...packageDiagnoses(found),
  ...speedDiagnoses(found),
]

/** The facts about machine and installation. Texts are empty where there is nothing to report. */
export interface Facts {
  /** Whether every device that this installation is built for works. */
  works: boolean
  vggnet: string
  system: { name: string; kernel: string; arch: string; glibc: string; node: string }
  paths: {
    /** Folder of the package. */
    root: string
    /** Whether the folder is a checkout with the sources. */
    checkout: boolean
    node: string
    cache: string
    cacheWritable: boolean
    /** How others could change the cache, which is not used then, and the fix. */
    cacheExposure: string
  }
  processor: {
    name: string
    /** Number of processors that this process may run on. */
    processors: number
    online: number
    /** Numbers of these processors, '0-3,6'; null where unknown. */
    affinity: string | null
    /** Number of processors that the control group allows; null: no limit. */
    quota: number | null
    instructionSets: string[]
  }
  /** Memory of the machine. `limitBytes` is the limit of the control group; null: none. */
  memory: { bytes: number; freeBytes: number; limitBytes: number | null }
  addon: {
    path: string
    buildId: string
    compiler: string
    debug: boolean
    oneDnn: string
    libjpegTurbo: string
    /** Libraries of the addon, each with its fault, if any. */
    libraries: { name: string; path: string; fault: string }[]
    isa: string
    threads: number
    /** Reason why it does not load. */
    obstacle: string
  }
  /** CUDA; undefined where the addon does not load. */
  cuda?: Omit<CudaExamination, 'devices'>
  /** Tuning of the cpu's convolutions; undefined where the addon does not load. */
  tuning?: TuningInForce
  devices: DeviceCheck[]
}
