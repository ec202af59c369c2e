import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { hasCmake, hasNinja } from './tools.mjs'
import { fetched } from './wheel.mjs'

/** Returns a search path with cmake and ninja. */
export async function pathWithCmake() {
  const folders = []
  if (!(await hasCmake())) folders.push(path.join(await fetched('cmake'), 'bin'))
  if (!(await hasNinja())) folders.push(await fetched('ninja'))
  return [...folders, process.env.PATH ?? ''].join(path.delimiter)
}

/**
 * Removes a build folder that CMake cannot reuse: made in another folder (a moved clone), with another generator or compiler, or
 * with a ninja that no longer exists.
 * @param {string} folder
 * @param {Record<string, string>} wanted required values in CMakeCache.txt
 */
export function removeForeignBuild(folder, wanted) {
  const file = path.join(folder, 'CMakeCache.txt')
  if (!existsSync(file)) return
  const cache = new Map(
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [, name, value] = /^(\w+):\w+=(.*)$/.exec(line) ?? []
        return name ? [[name, value]] : []
      }),
  )
  const fits =
    Object.entries({ ...wanted, CMAKE_GENERATOR: 'Ninja' }).every(([name, value]) => cache.get(name) === value) &&
    existsSync(cache.get('CMAKE_MAKE_PROGRAM') ?? '')
  if (!fits) rmSync(folder, { recursive: true, force: true })
}
