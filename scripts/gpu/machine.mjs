import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { nativeHash } from '../setup/native.mjs'

const line = (program, words) => {
  const { status, stdout } = spawnSync(program, words, { encoding: 'utf8', timeout: 20_000 })
  return status === 0 ? stdout.trim() : ''
}

/** The first card by nvidia-smi: name, driver, memory, capability ('9.0'); nothing where there is none. */
export function findCard() {
  const fields = 'name,driver_version,memory.total,compute_cap'
  const [first = ''] = line('nvidia-smi', [`--query-gpu=${fields}`, '--format=csv,noheader']).split('\n')
  const [name, driver, memory, capability] = first.split(', ')
  return capability === undefined ? undefined : { name, driver, memory, capability }
}

/** Clocks, temperature and power of the first GPU at the moment; nothing where nvidia-smi does not answer. */
export async function clocks() {
  const names = ['clocks.sm', 'clocks.mem', 'temperature.gpu', 'power.draw', 'pstate']
  try {
    const words = [`--query-gpu=${names}`, '--format=csv,noheader']
    const { stdout } = await promisify(execFile)('nvidia-smi', words, { timeout: 10_000, killSignal: 'SIGKILL' })
    const values = stdout.split('\n')[0].split(', ')
    return Object.fromEntries(names.map((name, index) => [name, values[index]]))
  } catch {
    return undefined
  }
}

// git is not on every machine, and a copied checkout may have no history.
function revision(root) {
  const dirty = line('git', ['-C', root, 'status', '--porcelain', '--untracked-files=no']) ? ' (changed)' : ''
  const commit = line('git', ['-C', root, 'rev-parse', '--short', 'HEAD'])
  return commit ? `${commit}${dirty}` : 'unknown'
}

/** What a result is worth nothing without. The versions of NVIDIA's libraries are among the findings of the small net. */
export function describeMachine(root) {
  const card = findCard()
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  return {
    date: new Date().toISOString(),
    card: card?.name ?? 'none',
    memory: card?.memory ?? '',
    driver: card?.driver ?? 'none',
    nvcc: /release ([\d.]+)/.exec(line('nvcc', ['--version']))?.[1] ?? 'unknown',
    vggnet: version,
    revision: revision(root),
    // a copied checkout has no history; this names its native sources all the same
    native: nativeHash(root).slice(0, 16),
    node: process.versions.node,
    processor: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    kernel: release(),
  }
}

/** bench/results/2026-11-23-nvidia-h200 */
export function resultsFolder(root, { date, card }) {
  const slug = card.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  return path.join(root, 'bench', 'results', `${date.slice(0, 10)}-${slug}`)
}
