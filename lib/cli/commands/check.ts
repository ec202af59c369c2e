import type { Command } from 'commander'
import { preflight } from '../../check/preflight.js'
import { type PreflightReport, preflightLines } from '../../check/preflight-report.js'
import { datasetsFor } from '../../run/datasets.js'
import type { RunDescription } from '../../run/description.js'
import { fitted } from '../../run/fitted.js'
import { findSources, type Sources } from '../../run/sources.js'
import { openNetwork } from '../../run/start.js'
import { withStartModel } from '../../run/start-model.js'
import { layersNamed } from '../../train/frozen.js'
import { addConfigFlag } from '../flags/config.js'
import { checkReading } from '../flags/data-flags.js'
import { descriptionOf } from '../flags/description.js'
import { given } from '../flags/flags.js'
import { addDescriptionFlags, type DescriptionFlags } from '../flags/train-flags.js'
import { waitingOn } from '../terminal/progress.js'

const examples = `
Checks memory, images, activations and gradients before a training, with the
flags of that training, and measures three steps. Nothing is written. Exit code
1 where the training would fail or learn nothing.

Examples:
  $ vggnet check photos --variant D
  $ vggnet check photos --variant D --batch 64 --image-size 128 --json`

type Flags = DescriptionFlags & { limit: number; json?: true }

/** Adds `vggnet check`: checks a training before it begins. */
export function addCheck(program: Command): void {
  const command = program
    .command('check')
    .description('check memory, images, activations and gradients before a training')
    .argument('[data]', 'a folder or a list of images, as for train')
    .option('--limit <n>', 'most images to open; more are sampled', Number, 2000)
    .option('--json', 'one JSON object')
  addConfigFlag(addDescriptionFlags(command))
    .addHelpText('after', examples)
    .action(async (data: string | undefined, flags: Flags) => {
      const description = descriptionOf(data, flags)
      const report = await examined(await prepared(description), flags.limit)
      console.log(flags.json ? JSON.stringify(report, null, 2) : preflightLines(report).join('\n'))
      if (report.fatal.length > 0) process.exitCode = 1
    })
}

/** A training with its images; mean and colours are fitted on them. */
export interface Prepared {
  readonly description: RunDescription
  readonly sources: Sources
}

/** Finds the images, and fits mean and colours on them, or completes the network from its start model. */
export async function prepared(described: RunDescription): Promise<Prepared> {
  const sources = await findSources(described)
  checkReading(described.photographs, sources.kind)
  const asked = await withStartModel(described, sources)
  const waiting = waitingOn(process.stderr)
  try {
    const onProgress = (done: number, of: number) => waiting.update('mean and colours of the images:', done, of)
    // the check or the training reports unreadable images
    const lenient = { ...asked, photographs: { ...asked.photographs, onUnreadable: 'skip' as const } }
    const { model, photographs } = await fitted(lenient, sources, { onProgress })
    const { onUnreadable } = asked.photographs
    return { sources, description: { ...asked, model, photographs: { ...photographs, onUnreadable } } }
  } finally {
    waiting.end()
  }
}

const doing = {
  images: 'reading images:',
  files: 'comparing images:',
  activations: 'activations',
  gradients: 'gradients',
  speed: 'three steps',
} as const

/** Creates the network of a training, checks it and its images, and disposes it. */
export async function examined({ description: asked, sources }: Prepared, limit: number): Promise<PreflightReport> {
  // the check reports all unreadable images, not only the first
  const description = { ...asked, photographs: { ...asked.photographs, onUnreadable: 'skip' as const } }
  const net = await openNetwork(description, sources)
  const waiting = waitingOn(process.stderr)
  try {
    for (const name of description.freeze) layersNamed(net, name, '--freeze')
    for (const name of Object.keys(description.rates)) layersNamed(net, name, '--rates')
    const { training, validation } = datasetsFor(sources, description, net)
    const { start, model } = description
    const { batch, microBatch, epochs, learningRate } = description.training
    const files = sources.kind === 'files' && {
      trainingFiles: sources.training,
      ...given({ validationFiles: sources.validation }),
    }
    const fresh = start.from === undefined && start.transplant === undefined
    const report = await preflight(net, {
      training,
      batch,
      epochs,
      learningRate,
      limit,
      seed: description.seed,
      onProgress: ({ stage, done, of }) => waiting.update(doing[stage], done, of),
      ...files,
      ...given({ validation, microBatch, initialisation: fresh ? model.initialisation : undefined }),
    })
    return asked.photographs.onUnreadable === 'throw' ? strict(report) : report
  } finally {
    waiting.end()
    net.dispose()
  }
}

/** Makes unreadable images fatal, as the training would end at the first. */
function strict(report: PreflightReport): PreflightReport {
  const [first] = report.files.unreadable
  if (first === undefined) return report
  const text = `${first.name} cannot be read: ${first.reason}; use --on-unreadable skip to skip such images`
  return { ...report, fatal: [...report.fatal, text] }
}
