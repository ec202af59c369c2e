import { readdir, realpath, rm, rmdir } from 'node:fs/promises'
import path from 'node:path'
import { VggError } from '../error.js'
import { exists, isFolder } from '../files/not-found.js'
import { commandText, shellText } from '../platform/package.js'
import { removeFeatures } from '../train/frozen-features.js'
import type { RunDescription } from './description.js'
import { type RunFile, runFiles, trainingsOf } from './folder.js'

const refusal = (message: string): VggError => new VggError('INVALID_ARGUMENT', message)

/**
 * Checks that a run can be created in a folder. Changes nothing.
 *
 * @throws INVALID_ARGUMENT if the folder holds a run, is a file, lies in the folder of the images or holds it, or if the
 *   cache lies there
 */
export async function checkNew(
  folder: string,
  { data, photographs }: Pick<RunDescription, 'data' | 'photographs'>,
): Promise<void> {
  if (await exists(runFiles(folder).description)) {
    throw refusal(
      `Expected a new folder for the run but ${folder} holds one; \`${commandText(['train', '--resume', folder])}\` continues it`,
    )
  }
  if ((await exists(folder)) && !(await isFolder(folder)))
    throw refusal(`Expected a folder for the run (--out) but ${folder} is a file; choose another name`)
  if (data.kind !== 'folder') return
  await checkApart(folder, data.path)
  if (photographs.cache !== undefined) await checkCache(photographs.cache, data.path)
}

/** The path without links. Of what does not exist, the folder above it counts. */
async function realPath(file: string): Promise<string> {
  const absolute = path.resolve(file)
  const above = path.dirname(absolute)
  return realpath(absolute).catch(async () =>
    above === absolute ? absolute : path.join(await realPath(above), path.basename(absolute)),
  )
}

const isIn = (folder: string, file: string): boolean => `${file}/`.startsWith(folder === '/' ? folder : `${folder}/`)

/** How a folder and the folder of the images overlap, as the end of a sentence; undefined if they are apart. */
async function overlap(folder: string, images: string): Promise<string | undefined> {
  const [made, data] = await Promise.all([realPath(folder), realPath(images)])
  if (made === data) return 'is the folder of the images'
  if (isIn(data, made)) return `lies in the folder of the images, ${images}`
  return isIn(made, data) ? `holds the folder of the images, ${images}` : undefined
}

async function checkApart(folder: string, images: string): Promise<void> {
  const found = await overlap(folder, images)
  if (found === undefined) return
  const name = path.join('runs', path.basename(await realPath(images)))
  const beside = path.relative('.', path.join(await realPath(images), '..', name))
  const free = (await overlap(name, images)) === undefined ? name : beside
  throw refusal(
    `Expected a folder for the run apart from the images, but ${folder} ${found}; choose another one: --out ${shellText([free])}`,
  )
}

/** A hidden folder is not read as images, so a cache may be in one. */
async function checkCache(cache: string, images: string): Promise<void> {
  const [made, data] = await Promise.all([realPath(cache), realPath(images)])
  if (
    !isIn(data, made) ||
    path
      .relative(data, made)
      .split('/')
      .some((name) => name.startsWith('.'))
  )
    return
  const hidden = path.join(images, '.cache')
  const message = `Expected a cache (--cache) apart from the images, but ${cache} lies in their folder, ${images}`
  throw refusal(`${message}; a hidden folder is not read: --cache ${shellText([hidden])}`)
}

/** Removes what a run wrote before its first step, so that its command can be typed again. Files of others stay. */
export async function removeUnstarted(folder: string, file: RunFile): Promise<void> {
  const stages = trainingsOf(folder, file).map(({ name }) => path.join(folder, name))
  for (const own of new Set([...stages, path.join(folder)])) {
    const { description, log, checkpoints } = runFiles(own)
    const names = await readdir(own).catch(() => [])
    const events = names.filter((name) => name.startsWith('events.out.tfevents.')).map((name) => path.join(own, name))
    for (const made of [description, log, ...events]) await rm(made, { force: true })
    await removeFeatures(checkpoints)
    // a folder that holds something else stays
    for (const made of [checkpoints, own]) await rmdir(made).catch(() => undefined)
  }
}

/** The first folder of runs/1, runs/2, ... that does not exist. */
export async function freeFolder(): Promise<string> {
  for (let number = 1; ; number++) {
    const folder = path.join('runs', String(number))
    if (!(await exists(folder))) return folder
  }
}
