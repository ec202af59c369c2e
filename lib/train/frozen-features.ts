import { readdir, rmdir, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { flipsOf } from '../data/batch.js'
import type { Dataset } from '../data/dataset.js'
import { VggError } from '../error.js'
import { makeFolders, systemCode } from '../files/atomic-file.js'
import type { Network } from '../network/network.js'
import { native } from '../platform/native.js'
import { bytesText, countedText } from '../table.js'
import { bytesOfTap, FeatureData, type FeatureSource, removeShards, versionsOf } from './feature-data.js'
import { hashOf, type Settings } from './settings.js'
import { sameBits, type Tap, tapOf } from './tap.js'

/** Multiply-adds for a byte of their result below which layers are computed faster than it is read from a disk. */
const leastOperations = 100

/** Share of the free space of a disk that may be used. */
const usableShare = 0.9

/** The values that a training with frozen leading layers starts from. */
export interface FrozenFeatures {
  /** The tensor that steps and evaluations start from. */
  readonly tensor: string
  readonly training: FeatureData
  readonly validation: FeatureData | undefined
}

/** Number of images in a pass over the validation data. */
export const validationBatch = (batch: number): number => Math.min(batch, 256)

/** The folder in that of the checkpoints. */
const folderIn = (checkpoints: string): string => path.join(checkpoints, 'features')

/** Removes what a finished training computed once. Files of others stay. */
export async function removeFeatures(checkpoints: string): Promise<void> {
  const folder = folderIn(checkpoints)
  for (const part of ['training', 'validation'].map((name) => path.join(folder, name))) {
    // either may not exist, or hold something else
    await removeShards(part).catch(() => undefined)
    await rmdir(part).catch(() => undefined)
  }
  await rmdir(folder).catch(() => undefined)
}

/**
 * Computes the leading layers once for each image if they are frozen, and the augmentation and the disk allow it. A sentence
 * for the user goes to `onNotice` in either case.
 * @param epochsLeft epochs that the training has at most
 * @returns undefined if each step is to be computed from images
 * @throws ABORTED; errors of reading the data, and of the network
 */
export async function frozenFeatures(
  net: Network,
  data: Dataset,
  settings: Settings,
  epochsLeft: number,
): Promise<FrozenFeatures | undefined> {
  const { recorded, checkpoint, onNotice, signal } = settings
  const { freeze, batch, microBatch } = recorded
  if (settings.frozenFeatures === 'off' || freeze.length === 0) return undefined
  const pass = Math.min(microBatch ?? batch, batch, data.count)
  const held = settings.validation && {
    data: settings.validation,
    pass: Math.min(validationBatch(batch), settings.validation.count),
  }
  const tap = tapOf(net, data, freeze, held === undefined ? [pass] : [pass, held.pass])
  if (tap === undefined) return undefined
  const [first, last] = [tap.layers[0], tap.layers.at(-1)]
  const named = first === last ? `${first} is frozen` : `${first} to ${last} are frozen`
  const each = async (reason: string): Promise<undefined> => {
    await onNotice?.(`${named} but computed in each step: ${reason}`)
  }
  const flips = flipsFor(data, recorded.flip)
  const obstacle = obstacleOf(tap, data, recorded.shift) ?? tooFew(epochsLeft, versionsOf({ flips }))
  if (obstacle !== undefined) return each(obstacle)
  if (net.group !== undefined) return each('the ranks of a group share no folder for the output')
  if (checkpoint === undefined) return each('without checkpoints there is no folder for the output')
  const folder = folderIn(checkpoint.folder)
  const key = await keyOf(net, tap)
  const of = data.count * versionsOf({ flips }) + (held?.data.count ?? 0)
  let done = 0
  const onDone = async (images: number): Promise<void> => {
    done += images
    await settings.onFeatures?.({ done, of })
  }
  const source = (name: string, of: Dataset, images: number, flips: FeatureSource['flips']): FeatureSource => {
    const own = { folder: path.join(folder, name), sameBits: sameBits(net, of, tap, images) }
    return { ...{ net, tap, data: of, images, key, flips, onDone }, ...own }
  }
  const training = source('training', data, pass, flips)
  const validation = held && source('validation', held.data, held.pass, undefined)
  const bytes = bytesOf(training) + (validation ? bytesOf(validation) : 0)
  const room = await roomIn(folder).catch(onlySystemError)
  if (typeof room === 'string') return each(room)
  if (bytes > room) return each(`the output takes ${bytesText(bytes)}, and ${folder} has room for ${bytesText(room)}`)
  const images = countedText(data.count + (held?.data.count ?? 0), 'image')
  const once = `${tap.tensor} of ${images}${flips ? ', mirrored too,' : ''} is computed once`
  await onNotice?.(`${named}: ${once}, ${bytesText(bytes)} in ${folder}`)
  const prepared = async (): Promise<FrozenFeatures> => ({
    tensor: tap.tensor,
    training: await FeatureData.prepare(training, signal),
    validation: validation && (await FeatureData.prepare(validation, signal)),
  })
  const made = await prepared().catch(onlySystemError)
  if (typeof made !== 'string') return made
  await removeFeatures(checkpoint.folder)
  return each(made)
}

/** The message of a disk that is full or read-only, which does not end a training. @throws other errors */
function onlySystemError(error: unknown): string {
  if (error instanceof VggError || systemCode(error) === undefined) throw error
  return (error as Error).message
}

/** The random flips of a training; undefined if there are none. */
function flipsFor({ readAugmented, randomReads }: Dataset, flip: boolean): FeatureSource['flips'] {
  if (readAugmented === undefined) return flip ? flipsOf : undefined
  return randomReads?.flips?.bind(randomReads)
}

const bytesOf = (source: FeatureSource): number => source.data.count * versionsOf(source) * bytesOfTap(source.tap)

const cures = {
  crop: 'randomCrop: false (--no-crop)',
  size: 'a fixed smallestSide (--smallest-side)',
  colour: 'colour: false (--no-colour)',
}

/** Why a tap cannot be computed once for each image, or should not; undefined if it can. */
function obstacleOf(tap: Tap, { readAugmented, randomReads }: Dataset, shift: number): string | undefined {
  if (tap.multiplyAdds < leastOperations * bytesOfTap(tap))
    return 'reading the output would take longer than computing it'
  if (readAugmented !== undefined && randomReads === undefined) return 'what the data change at random is not known'
  const random = [
    ...(randomReads?.changes ?? []).map((change) => cures[change]),
    ...(shift > 0 ? ['shift: 0 (--shift)'] : []),
  ]
  if (random.length === 0) return undefined
  return `the output differs in each epoch; ${random.join(', ')} would let it be computed once`
}

const tooFew = (epochs: number, versions: number): string | undefined =>
  epochs > versions ? undefined : `${countedText(epochs, 'epoch')} would not gain from computing the output once`

/** Everything that the values of a tap depend on besides the images. */
async function keyOf(net: Network, tap: Tap): Promise<string> {
  const { layers, device, precision, deterministic, run } = net
  const weights = await hashOf(net, tap.layers)
  const { buildId } = native().buildInfo()
  return JSON.stringify([tap.tensor, layers, weights, device, precision, deterministic, run, buildId])
}

/** Bytes that may be written into a folder, with those that it holds already. @throws errors of node:fs */
async function roomIn(folder: string): Promise<number> {
  await makeFolders(folder)
  const { bavail, bsize } = await statfs(folder)
  const names = await readdir(folder, { recursive: true })
  const held = await Promise.all(names.map(async (name) => (await stat(path.join(folder, name))).size))
  return Math.floor(usableShare * (bavail * bsize)) + held.reduce((sum, bytes) => sum + bytes, 0)
}
