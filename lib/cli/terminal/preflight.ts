import { preflight } from '../../check/preflight.js'
import { type PreflightOptions, type PreflightReport, preflightLines } from '../../check/preflight-report.js'
import { VggError } from '../../error.js'
import { checkSources } from '../../run/checks.js'
import { datasetsFor, type SizedRun, sizedRun } from '../../run/datasets.js'
import type { RunRequest } from '../../run/description.js'
import { findSources, type Sources } from '../../run/sources.js'
import { fitted, openNetwork, withStartModel } from '../../run/start.js'
import { columnsOf, longestName, printable, wrapped } from '../../table.js'
import { waitingOn } from './progress.js'

/** A run's description, complete with the values computed from its images, and the images. */
export interface PreparedRun extends SizedRun {
  readonly sources: Sources
}

/** Finds the images, and completes the description by their mean and colours, or by the model that the run starts from. */
export async function prepareRun(request: RunRequest): Promise<PreparedRun> {
  const sources = await findSources(request)
  const { description, chosen } = sizedRun(request, sources)
  const asked = await withStartModel(description, sources)
  checkSources(asked, sources)
  const waiting = waitingOn(process.stderr)
  try {
    const onProgress = (done: number, of: number) => waiting.update('mean and colours of the images:', done, of)
    // the check or the training reports unreadable images
    const lenient = { ...asked, photographs: { ...asked.photographs, onUnreadable: 'skip' as const } }
    const { model, photographs } = await fitted(lenient, sources, { onProgress })
    const { onUnreadable } = asked.photographs
    return { sources, chosen, description: { ...asked, model, photographs: { ...photographs, onUnreadable } } }
  } finally {
    waiting.end()
  }
}

const stageTexts = {
  images: 'reading images:',
  files: 'comparing images:',
  activations: 'activations',
  gradients: 'gradients',
  speed: 'three steps',
} as const

/** Runs `preflight` on a new network of the run, with its progress on the terminal. */
export async function preflightRun(
  { description: asked, sources }: PreparedRun,
  { limit, frozenFeatures }: Pick<PreflightOptions, 'limit' | 'frozenFeatures'>,
): Promise<PreflightReport> {
  // the report lists all unreadable images, not only the first one
  const description = { ...asked, photographs: { ...asked.photographs, onUnreadable: 'skip' as const } }
  const net = await openNetwork(description, sources)
  const waiting = waitingOn(process.stderr)
  try {
    const { training, validation } = datasetsFor(sources, description, net)
    const { start, model, freeze, shift, flip, seed } = description
    const { batch, dropLast, microBatch, epochs, learningRate } = description.training
    const files = sources.kind === 'files' && {
      trainingFiles: sources.training,
      ...(sources.validation && { validationFiles: sources.validation }),
    }
    const fresh = start.from === undefined && start.transplant === undefined
    const report = await preflight(net, {
      training,
      batch,
      dropLast,
      epochs,
      learningRate,
      ...{ limit, freeze, shift, flip, frozenFeatures, seed },
      onProgress: ({ stage, done, of }) => waiting.update(stageTexts[stage], done, of),
      ...files,
      ...(validation && { validation }),
      ...(microBatch !== undefined && { microBatch }),
      ...(fresh && model.initialisation && { initialisation: model.initialisation }),
    })
    return asked.photographs.onUnreadable === 'throw' ? strict(report) : report
  } finally {
    waiting.end()
    net.dispose()
  }
}

/** Reports an unreadable image as fatal: the training would end there. */
function strict(report: PreflightReport): PreflightReport {
  const [first] = report.files.unreadable
  if (first === undefined) return report
  const text = `${printable(first.name, longestName.file)} cannot be read: ${first.reason}; use --on-unreadable skip to skip such images`
  return { ...report, fatal: [text, ...report.fatal], code: 'FILE_FORMAT' }
}

/**
 * Refuses a training that the check found to fail or to learn nothing, with the code that the training would end with.
 * @param otherwise what to do all the same with a training that would learn nothing
 */
export function refuseFatal({ fatal: [first], code }: PreflightReport, otherwise: string): void {
  if (first === undefined) return
  throw code === undefined ? new VggError('INVALID_ARGUMENT', `${first}${otherwise}`) : new VggError(code, first)
}

/** Lines of a report for the standard output, after what was chosen for the run. */
export function checkLines({ chosen }: PreparedRun, report: PreflightReport): string[] {
  const width = columnsOf(process.stdout)
  return [...(chosen === undefined ? [] : wrapped(chosen, width)), ...preflightLines(report, width)]
}
