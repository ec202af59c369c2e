import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** What a figure is worth nothing without. */
export interface Machine {
  readonly date: string
  readonly processor: string
  readonly processors: number
  readonly node: string
  readonly vggnet: string
  readonly card?: string
  readonly driver?: string
  readonly [library: string]: string | number | undefined
}

const cardQuery = ['--query-gpu=name,driver_version', '--format=csv,noheader']

export function machineOf(versions: Readonly<Record<string, string>>): Machine {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const { stdout, status } = spawnSync('nvidia-smi', cardQuery, { encoding: 'utf8' })
  const [card, driver] = status === 0 ? (stdout.split('\n')[0] ?? '').split(', ') : []
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model ?? 'unknown',
    processors: cpus().length,
    node: process.versions.node,
    vggnet: version,
    ...(card && driver && { card, driver }),
    ...versions,
  }
}

export const machineText = (machine: Machine): string =>
  Object.entries(machine)
    .map(([name, value]) => (name === 'processors' ? `${value} processors` : `${name} ${value}`))
    .join(', ')
