import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { newFolder } from '../setup/folder.js'

/** Folders in which the dynamic linker looks for what no path names. */
const positions = ['/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu', '/lib64', '/usr/lib64', '/lib', '/usr/lib']

const folders = (): string[] => [
  ...new Set(
    positions.flatMap((position) => {
      try {
        return [realpathSync(position)]
      } catch {
        return []
      }
    }),
  ),
]

/**
 * What starts Node where the system has no such library: in a space of mounts of its own, in which the folders that hold it
 * lie under a layer without it. Undefined where this user may not mount.
 */
export function withoutSystemLibrary(name: string): string[] | undefined {
  const holding = folders().filter((folder) => readdirSync(folder).includes(name))
  if (holding.length === 0) return [process.execPath]
  const scratch = newFolder()
  const commands = holding.map((folder, index) => {
    const [upper, work] = ['upper', 'work'].map((part) => path.join(scratch, `${part}${index}`)) as [string, string]
    for (const one of [upper, work]) mkdirSync(one)
    return `mount -t overlay overlay -o lowerdir=${folder},upperdir=${upper},workdir=${work} ${folder} && rm -f ${folder}/${name}`
  })
  const words = ['--mount', ...(process.getuid?.() === 0 ? [] : ['--map-root-user']), 'sh', '-c']
  const script = `${commands.join(' && ')} && exec "$0" "$@"`
  const { status } = spawnSync('unshare', [...words, script, 'true'], { stdio: 'ignore' })
  return status === 0 ? ['unshare', ...words, script, process.execPath] : undefined
}
