import type { Command } from 'commander'
import { preflightChecks } from '../../check/preflight.js'
import { checkOptions } from '../../run/checks.js'
import { callTable } from '../../train/settings.js'
import { addConfigFlag } from '../flags/config.js'
import { addTable, checked, number, typedPath } from '../flags/flags.js'
import { addDescriptionFlags, type DescriptionFlags, descriptionOf, type TrainFlags } from '../flags/train-flags.js'
import { checkLines, preflightRun, prepareRun, refuseFatal } from '../terminal/preflight.js'
import { print, printJson } from '../terminal/print.js'

const examples = `
Checks memory, images, activations and gradients before a training, with the
flags of that training, and measures three steps. Nothing is written. Where the
training would fail or learn nothing, the error and the exit code are those of
'vggnet train'.

Examples:
  $ vggnet check photos --variant D
  $ vggnet check photos --variant D --batch 64 --image-size 128 --json`

type Flags = DescriptionFlags & Pick<TrainFlags, 'frozenFeatures'> & { limit: number; json?: true }

/** Adds `vggnet check`: checks a training before it begins. */
export function addCheck(program: Command): void {
  const command = program
    .command('check')
    .description('check memory, images, activations and gradients before a training')
    .argument('[data]', 'a folder or a list of images, as for train', typedPath)
    .option(
      '--limit <n>',
      'most images to open; more are sampled',
      checked(number, preflightChecks.limit, '--limit'),
      preflightChecks.limit.fallback,
    )
    .option('--json', 'one JSON object')
  const { frozenFeatures } = callTable
  addConfigFlag(addDescriptionFlags(addTable(command, { frozenFeatures })))
    .addHelpText('after', examples)
    .action(async (data: string | undefined, flags: Flags) => {
      const described = descriptionOf(data, flags)
      await checkOptions(described)
      // a check writes nothing, so it decodes the images themselves
      const { cache: _, ...photographs } = described.photographs
      const prepared = await prepareRun({ ...described, photographs })
      const report = await preflightRun(prepared, flags)
      if (flags.json) printJson(report, 2)
      else print(checkLines(prepared, report).join('\n'))
      refuseFatal(report, '')
    })
}
