import type { TuningInForce } from '../../platform/kept-tuning.js'
import type { CudaExamination } from './cuda-examination.js'
import type { Trial } from './trial.js'

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
  devices: Trial[]
}
