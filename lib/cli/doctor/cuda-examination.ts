import { execFile } from 'node:child_process'
import { cudaLocations, cudaSearch } from '../../platform/cuda/locations.js'
import { type CudaFile, type CudaReport, native } from '../../platform/native.js'
import { type Trial, tried } from './trial.js'

/** What there is of CUDA. Texts are empty where there is nothing to say. */
export interface CudaExamination {
  library: CudaReport['library'] & { path: string }
  driver: CudaReport['driver']
  files: CudaFile[]
  /** The folders that were searched for them. */
  searched: string[]
  /** Every card that is visible, or one line that says why there is none. */
  devices: Trial[]
}

const noCard = { device: 'cuda', name: '', architecture: '', bytes: 0, freeBytes: 0 }

function filesOf(): Pick<CudaExamination, 'files' | 'searched'> & { path: string } {
  const searched = cudaSearch().searched.map(({ folder }) => folder)
  return { path: cudaLocations().library, searched, files: native().findCudaFiles({ folders: searched }) }
}

/** Opens all that there is of CUDA in this process, which may not survive it. */
export async function examineCuda(): Promise<CudaExamination> {
  const { path, files, searched } = filesOf()
  native().setCudaLocations(cudaLocations())
  const { library, driver, cards } = native().cudaReport()
  const devices: Trial[] = []
  for (const card of cards.length === 0 ? [noCard] : cards) devices.push(await tried(card))
  return { library: { path, ...library }, driver, files, searched, devices }
}

const patience = 120_000

/** The last line of what a process printed. */
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)?.trim() ?? ''

/**
 * As `examineCuda`, in a process of its own where there is a library to open: a broken driver or cuDNN can take its
 * process down, or keep it waiting for ever, and that is when a report is wanted most.
 * @param words what makes this program call `examineCuda` and print its answer as one line of JSON
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
      const said = lastLine(stderr)
      const obstacle = `the process that opened CUDA ${end}${said && `: ${said}`}`
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
