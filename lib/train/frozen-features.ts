import { readdir, rmdir, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import type { Dataset } from '../data/dataset.js'
import { VggError } from '../error.js'
import { makeFolders, systemCode } from '../files/atomic-file.js'
import type { Network } from '../network/network.js'
import { native } from '../platform/native.js'
import { bytesText } from '../table.js'
import { FeatureData, type FeatureSource, removeShards, versionsOf } from './feature-data.js'
import { featurePlan, frozenText, onceText } from './feature-plan.js'
import { hashOf, type Settings } from './settings.js'
import { sameBits, type Tap } from './tap.js'

/** Share of the free space of a disk that may be used. */
const usableShare = 0.9

/** The values that a training with frozen leading layers starts from. */
export interface FrozenFeatures {
  /** The tensor that steps and evaluations start from. */
  readonly tensor: string
  readonly training: FeatureData
  readonly validation: FeatureData | undefined
}

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
  const { recorded, checkpoint, validation: heldOut, onNotice, signal } = settings
  if (settings.frozenFeatures === 'off') return undefined
  const plan = await featurePlan(net, { ...recorded, epochs: epochsLeft, training: data, validation: heldOut, signal })
  if (plan === undefined) return undefined
  const { tap, obstacle, bytes } = plan
  const each = async (reason: string): Promise<undefined> => {
    await onNotice?.(`${frozenText(plan)} but computed in each step: ${reason}`)
  }
  if (obstacle !== undefined) return each(obstacle)
  if (net.group !== undefined) return each('the ranks of a group share no folder for the output')
  if (checkpoint === undefined) return each('without checkpoints there is no folder for the output')
  const folder = folderIn(checkpoint.folder)
  const key = await keyOf(net, tap)
  const of = data.count * versionsOf(plan) + (heldOut?.count ?? 0)
  let done = 0
  const onDone = async (images: number): Promise<void> => {
    done += images
    await settings.onFeatures?.({ done, of })
  }
  const source = (name: string, of: Dataset, images: number, flips: FeatureSource['flips']): FeatureSource => {
    const own = { folder: path.join(folder, name), sameBits: sameBits(net, of, tap, images) }
    return { ...{ net, tap, data: of, images, key, flips, onDone }, ...own }
  }
  const training = source('training', data, plan.pass, plan.flips)
  const validation = heldOut && source('validation', heldOut, plan.validationPass, undefined)
  const room = await roomIn(folder).catch(onlySystemError)
  if (typeof room === 'string') return each(room)
  if (bytes > room) return each(`the output takes ${bytesText(bytes)}, and ${folder} has room for ${bytesText(room)}`)
  await onNotice?.(`${frozenText(plan)}: ${onceText(plan)} in ${folder}`)
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
