import { type Command, Option } from 'commander'
import pc from 'picocolors'
import { cudaLocations } from '../../platform/cuda/locations.js'
import { type LibrariesStatus, type LibraryStatus, librariesStatus, nextStep } from '../../platform/cuda/status.js'
import { cacheFolder } from '../../platform/wheels/cache.mjs'
import { bytesHere } from '../../platform/wheels/fetch.mjs'
import { removePins } from '../../platform/wheels/install.mjs'
import { cudaPins, pins } from '../../platform/wheels/pins.mjs'
import { countedText } from '../../table.js'
import { type CudaExamination, examineCudaApart } from '../doctor/devices.js'
import { file } from '../flags/flags.js'
import { stoppable } from '../terminal/exit.js'
import { print, printJson } from '../terminal/print.js'
import { sizeText } from '../terminal/progress.js'
import { section } from '../terminal/sections.js'
import { type InstallFlags, installCuda, withWheels } from './cuda-install.js'

const installing = `
Fetches cuDNN, cuBLASLt and NVRTC (879 MB; 1.04 GB unpacked) through pip, by its
own settings (PIP_INDEX_URL, PIP_CERT, HTTPS_PROXY, pip.conf), into the per-user
cache: $VGGNET_CACHE, or $XDG_CACHE_HOME/vggnet, or ~/.cache/vggnet. Python runs
isolated (-I, in the root folder): nothing from the working folder, the cache,
PYTHONPATH or ~/.local is imported. Each file is verified by its SHA-256.
Existing libraries are not fetched again; after Ctrl-C or a lost connection the
next install continues the download.

Examples:
  $ vggnet cuda install
  $ vggnet cuda install --manual        # print which files to fetch by hand
  $ vggnet cuda install --from wheels   # from a folder, without Python`

const status = `
Exit code 0 where all required NVIDIA libraries are found, else 1.

Examples:
  $ vggnet cuda status
  $ vggnet cuda status --json`

const removing = `
Removes the libraries of 'cuda install' (or of 'npm run build:cuda' in a
checkout) from the per-user cache: all versions, complete or incomplete.
Processes that use the libraries keep running.

Examples:
  $ vggnet cuda remove`

/** Adds `vggnet cuda`: installs, shows and removes NVIDIA's libraries, which the package does not contain. */
export function addCuda(program: Command): void {
  const cuda = program.command('cuda').description("install, show or remove NVIDIA's libraries")
  cuda
    .command('install')
    .description("fetch NVIDIA's libraries into the per-user cache")
    .option('--from <folder>', 'install wheels from a folder', file)
    .addOption(new Option('--manual', 'print which files are needed, and fetch nothing').conflicts('from'))
    .option('--json', 'one JSON object')
    .addHelpText('after', installing)
    .action((flags: InstallFlags) => installCuda(flags))
  cuda
    .command('status')
    .description("show NVIDIA's libraries: versions, locations, missing files")
    .option('--json', 'one JSON object')
    .addHelpText('after', status)
    .action((flags: { json?: true }) => showCuda(flags))
  cuda
    .command('remove')
    .description("remove the libraries of 'cuda install'")
    .option('--json', 'one JSON object')
    .addHelpText('after', removing)
    .action((flags: { json?: true }) => removeCuda(flags))
}

/** Output of `vggnet cuda status --json`. */
interface CudaStatus extends LibrariesStatus {
  /** Whether all required NVIDIA libraries are found. */
  ready: boolean
  cache: string
  /** Bytes that an interrupted install has fetched. */
  bytesBegun: number
  /** libvggnet_cuda.so; `obstacle` is empty where it is found. */
  cudaLibrary: { path: string; obstacle: string }
  driver: CudaExamination['driver']
  cards: string[]
  /** Next action for the user. */
  next: string
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
  return { ...status, next: nextStep(status) }
}

function libraryFacts({ needed, found, version, folder, from, bytes, missing }: LibraryStatus): string[] {
  const without = needed ? '' : ' (optional: cuDNN is slower without it)'
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
    ['begun', [bytesBegun > 0 ? `${sizeText(bytesBegun)} fetched by an interrupted install, in ${cache}` : '']],
    ['vggnet', [cudaLibrary.path || cudaLibrary.obstacle]],
    ['driver', driverFacts(status)],
    ['next', [next]],
  ]
  return sections
    .map(([title, facts]) => section(title, facts, width))
    .filter(Boolean)
    .join('\n')
}

/** Runs `vggnet cuda status`. */
async function showCuda({ json }: { json?: true }): Promise<void> {
  const status = await statusHere()
  if (json) printJson(status, 2)
  else print(text(status, process.stdout.columns || 80))
  process.exitCode = status.ready ? 0 : 1
}

/** Runs `vggnet cuda remove`. */
async function removeCuda({ json }: { json?: true }): Promise<void> {
  const cache = cacheFolder(process.env)
  const onWaiting = (owner: number) => print(`waiting for process ${owner}, which is installing`, process.stderr)
  const { removed, holders } = await stoppable(
    (signal) => withWheels(() => removePins(cache, cudaPins, { onWaiting, signal })),
    'some libraries are not removed yet',
  )
  const bytes = removed.reduce((sum, one) => sum + one.bytes, 0)
  if (json) return printJson({ cache, bytes, removed, holders }, 2)
  if (removed.length === 0) return print(`There are no NVIDIA libraries in ${cache}`)
  print(`Removed from ${cache}, ${sizeText(bytes)}:`)
  for (const one of removed) print(`  ${one.folder.slice(cache.length + 1)}  ${sizeText(one.bytes)}`)
  if (holders.length > 0) {
    const who = countedText(holders.length, 'process uses', 'processes use')
    print(`${who} them still (${holders.join(', ')}) and can continue: the space is freed at the end of the process`)
  }
}
