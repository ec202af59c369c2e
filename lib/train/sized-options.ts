import { epochImages } from '../data/loader.js'
import { VggError } from '../error.js'
import { type CheckedSchedule, type Schedule, scheduleCheck } from './schedule.js'

/** The options whose defaults follow from the number of training images. */
export interface SizedOptions {
  readonly epochs: number
  readonly batch: number
  readonly schedule: Schedule
}

/** The options that are given, checked. */
export interface SizedRequest {
  readonly epochs?: number | undefined
  readonly batch?: number | undefined
  readonly schedule?: CheckedSchedule | undefined
  readonly dropLast?: boolean | undefined
}

/**
 * Values of the paper (section 3.1), and those that small data need. Measured on 180 images of ten digits (A at 32x32 of a
 * quarter of the width, batch 32): patience 3 ended after 78 steps with 10 % of the held-out images right, 100 steps of
 * patience after 546 with 30 %, 200 after 1344 with 95 %. Batch 8 learnt nothing in 1500 steps, and 16 and 32 did.
 */
const paper = { epochs: 74, batch: 256, patience: 3 }
const small = { steps: 2000, batch: 32, stepsPerEpoch: 8, patienceSteps: 200 }

/** Epochs of patience in the paper's schedule, which are the least. */
export const leastPatience = paper.patience

/** Steps before which a network of random weights has usually learnt nothing. */
export const leastSteps = small.patienceSteps

/** The default batch: an eighth of the images, rounded down to a power of two, from 32 to 256, and at most all images. */
function batchFor(images: number): number {
  const eighth = 2 ** Math.floor(Math.log2(images / small.stepsPerEpoch))
  return Math.min(images, paper.batch, Math.max(small.batch, eighth))
}

/**
 * The options with defaults for this number of training images: the batch is an eighth of them, rounded down to a power of
 * two, from 32 to 256; there are 74 epochs or as many as make 2,000 steps; and the patience is 3 epochs or as many as make
 * 200 steps. From 17,000 images on these are the values of the paper.
 */
export function sizedOptions(given: SizedRequest, images: number, hasValidation: boolean): SizedOptions {
  const batch = given.batch ?? batchFor(images)
  const perEpoch = Math.max(1, Math.ceil(epochImages(images, batch, given.dropLast === true) / batch))
  const epochs = given.epochs ?? Math.max(paper.epochs, Math.ceil(small.steps / perEpoch))
  const schedule = given.schedule ?? scheduleCheck(hasValidation ? 'plateau' : 'constant', 'schedule')
  if (schedule.kind !== 'plateau') return { epochs, batch, schedule }
  const patience = schedule.patience ?? Math.max(paper.patience, Math.ceil(small.patienceSteps / perEpoch))
  return { epochs, batch, schedule: { ...schedule, patience } }
}

/** @throws INVALID_ARGUMENT for a batch of more images than there are, with both numbers */
export function checkBatch(batch: number | undefined, images: number): void {
  if (batch === undefined || batch <= images) return
  const message = `Expected at most the ${images} training images for batch (--batch) but received ${batch}`
  const cure = `leave it out, which makes it ${batchFor(images)}, or write ${images} for one step in an epoch`
  throw new VggError('INVALID_ARGUMENT', `${message}; ${cure}`)
}

/** A sentence on the values that were chosen by the number of images; undefined if all were given. */
export function chosenText(given: SizedRequest, images: number, hasValidation: boolean): string | undefined {
  const { batch, epochs, schedule } = sizedOptions(given, images, hasValidation)
  const isPatient = schedule.kind === 'plateau' && (given.schedule?.kind !== 'plateau' || !given.schedule.patience)
  const chosen = [
    ...(given.batch === undefined ? [`batch ${batch}`] : []),
    ...(given.epochs === undefined ? [`${epochs} epochs`] : []),
    ...(isPatient ? [`patience ${schedule.patience}`] : []),
  ]
  return chosen.length === 0 ? undefined : `${chosen.join(', ')}: chosen for ${images} training images`
}
