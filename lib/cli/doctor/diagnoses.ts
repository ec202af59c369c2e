import type { TuningInForce } from '../../platform/kept-tuning.js'
import type { CudaExamination, DeviceCheck } from './devices.js'

/** One thing that decides whether and how well vggnet computes here. */
export interface Diagnosis {
  readonly kind: 'works' | 'fails' | 'hint'
  /** A sentence. */
  readonly text: string
  /** What to type or do; empty: nothing. */
  readonly cure: string
}

/** What an error of loading says to do. */
const cureIn = (message: string): string => /^Cure: (.*)$/m.exec(message)?.[1] ?? ''

function processorDiagnosis({ addon, devices }: Facts): Diagnosis {
  if (addon.obstacle !== '')
    return { kind: 'fails', text: 'vggnet does not load, and nothing can be computed', cure: cureIn(addon.obstacle) }
  const cpu = devices.find(({ device }) => device === 'cpu')
  if (cpu?.works) return { kind: 'works', text: "device 'cpu': a small multiplication comes out right", cure: '' }
  const cure = '`npx vggnet doctor --json` in a bug report'
  return { kind: 'fails', text: `device 'cpu' does not compute: ${cpu?.obstacle}`, cure }
}

/** What is in backquotes is there to be typed. */
const commandIn = (text: string): string => /`[^`]+`/.exec(text)?.[0] ?? ''

function cardDiagnoses({ cuda, devices }: Facts): Diagnosis[] {
  if (cuda === undefined) return []
  const cards = devices.filter(({ device }) => device !== 'cpu')
  const { driver, library } = cuda
  // where the process that looked at it was ended, nothing is known of the driver
  if (driver.path === '' && driver.obstacle !== '') {
    const text = 'no NVIDIA driver, so that no card can be used'
    return [{ kind: 'hint', text, cure: "where there is a card: NVIDIA's driver, R580 or later" }]
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
        text: `device '${device}': a small multiplication in ${precision} comes out right`,
        cure: '',
      }
    return { kind: 'fails', text: obstacle, cure: commandIn(obstacle) || '`npx vggnet cuda status` says what is there' }
  })
}

function packageDiagnoses({ addon, paths }: Facts): Diagnosis[] {
  const faults = addon.libraries.filter(({ fault }) => fault !== '')
  const cure = 'install the package anew, or see what has changed it'
  const damaged = faults.map(({ name, fault }): Diagnosis => ({ kind: 'hint', text: `${name} ${fault}`, cure }))
  if (paths.cacheWritable) return damaged
  const text = `the cache ${paths.cache} cannot be written: every start looks at the binary anew (0.1 s), nothing is kept`
  return [...damaged, { kind: 'hint', text, cure: 'VGGNET_CACHE=FOLDER names another' }]
}

function speedDiagnoses({ processor, addon, tuning }: Facts): Diagnosis[] {
  if (addon.obstacle !== '') return []
  const found: Diagnosis[] = []
  const { quota } = processor
  if (quota !== null && quota < addon.threads) {
    const text = `the control group gives ${quota} processors, and ${addon.threads} threads would wait for each other`
    found.push({
      kind: 'hint',
      text,
      cure: `\`threads: ${Math.max(1, Math.floor(quota))}\` in the options of a network`,
    })
  }
  if (processor.instructionSets.length === 0)
    found.push({ kind: 'hint', text: 'the processor has no AVX2, so that computing is slow', cure: '' })
  if (addon.debug) found.push({ kind: 'hint', text: 'this is the build with sanitizers, which is slow', cure: '' })
  if (tuning?.source === 'default' && process.env.VGGNET_TUNING !== 'off')
    found.push({ kind: 'hint', text: 'not tuned for this processor', cure: '`npx vggnet tune`, under a minute' })
  return found
}

/** What an examination comes to, in words: what works, what does not, what to type. */
export const diagnosesOf = (found: Facts): Diagnosis[] => [
  processorDiagnosis(found),
  ...cardDiagnoses(found),
  ...packageDiagnoses(found),
  ...speedDiagnoses(found),
]

/** The facts of an examination. Texts are empty where there is nothing to say. */
export interface Facts {
  /** Whether everything computes that this installation is built for. */
  works: boolean
  vggnet: string
  system: { name: string; kernel: string; arch: string; glibc: string; node: string }
  paths: {
    /** The folder of the package. */
    root: string
    /** Whether that is a checkout, with the sources. */
    checkout: boolean
    node: string
    cache: string
    cacheWritable: boolean
  }
  processor: {
    name: string
    /** Those that this process may run on. */
    processors: number
    online: number
    /** Their numbers; null where that is not told. */
    affinity: string | null
    /** Processors that the control group gives; null: no limit. */
    quota: number | null
    instructionSets: string[]
  }
  /** limitBytes: of the control group; null: none. */
  memory: { bytes: number; freeBytes: number; limitBytes: number | null }
  addon: {
    path: string
    buildId: string
    compiler: string
    debug: boolean
    oneDnn: string
    libjpegTurbo: string
    /** What it is made of, with what is wrong with each file of a package. */
    libraries: { name: string; path: string; fault: string }[]
    isa: string
    threads: number
    /** Why it does not load. */
    obstacle: string
  }
  /** Undefined where the addon does not load. */
  cuda?: Omit<CudaExamination, 'devices'>
  /** Of the cpu's convolutions; undefined where the addon does not load. */
  tuning?: TuningInForce
  devices: DeviceCheck[]
}
