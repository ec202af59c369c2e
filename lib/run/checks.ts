import { VggError } from '../error.js'
import { Network } from '../network/network.js'
import { optional, readOptions } from '../options.js'
import { checkHeldOut, scheduleCheck } from '../train/schedule.js'
import { namedLayers } from '../train/settings.js'
import { adaptedConfiguration } from '../vgg/adapted.js'
import { configurationFrom, vggLayers } from '../vgg/configuration.js'
import { variant } from '../vgg/variants.js'
import { checkImageOptions, datasetsFor, shapeOf } from './datasets.js'
import { complete, descriptionChecks, type RunDescription, type RunRequest } from './description.js'
import { trainingsOf } from './folder.js'
import type { PlanName } from './plan.js'
import type { Sources } from './sources.js'
import { readStartModel } from './start.js'

/**
 * Checks a new run as far as it can be before its images are found: each option, options that must agree, the models that it
 * starts from, the names of layers, and the device. Nothing is written.
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH, FILE_NOT_FOUND, FILE_FORMAT, DEVICE_UNAVAILABLE
 */
export async function checkOptions(request: RunRequest, plan?: PlanName): Promise<void> {
  readOptions(request, 'the description of a run', descriptionChecks)
  // those that follow from the images are right whatever these are
  const { epochs = 1, batch = 1 } = request.training
  const description = { ...request, training: { ...request.training, epochs, batch } }
  const stages = trainingsOf('.', { plan, description })
  for (const one of [description, ...stages.map((stage) => stage.description)]) complete(one)
  const { from, transplant } = description.start
  if (from !== undefined) {
    const { configuration } = await readStartModel(from)
    // the names of layers do not depend on the number of classes
    namedLayers(vggLayers(adaptedConfiguration(configuration, { classes: 1 }).configuration), description)
  }
  if (transplant !== undefined) await readStartModel(transplant)
  await checkDevice(description.device)
}

/** Opens the smallest network on the device, with its options. */
async function checkDevice(device: RunDescription['device']): Promise<void> {
  const smallest = [
    { kind: 'input', channels: 1, mean: [0], scale: [1] },
    { kind: 'linear', name: 'linear', outputs: 1, window: [1, 1] },
  ] as const
  const net = await Network.create({ layers: smallest, ...device })
  net.dispose()
}

/**
 * Checks that the options of a run fit its images, before any of them is read.
 * @param description of the run, with the network of the model that it starts from
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH
 */
export function checkSources(description: RunDescription, sources: Sources): void {
  const { model, photographs, training } = description
  checkImageOptions(photographs, sources.kind)
  const shape = shapeOf(description, sources)
  datasetsFor(sources, description, { ...shape, preprocessing: undefined })
  const known = sources.training.classNames.length
  const { classes = known } = model
  configurationFrom({ ...model, ...shape, variant: variant(model.variant, 'variant'), classes })
  if (classes < known) {
    const message = `Expected at least ${known} for classes (--classes), the classes of the data, but received ${classes}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  checkHeldOut(optional(scheduleCheck)(training.schedule, 'schedule'), sources.validation)
}
