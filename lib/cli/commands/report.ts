import path from 'node:path'
import type { Command } from 'commander'
import { withClasses } from '../../data/derived.js'
import { VggError } from '../../error.js'
import { collectReport, writeReport } from '../../report/report.js'
import { datasetsFor } from '../../run/datasets.js'
import { exists, loadBest, readRunFile, runFiles } from '../../run/folder.js'
import { trainingsOf } from '../../run/plan-run.js'
import { findSources } from '../../run/sources.js'
import { addDeviceFlags, type DeviceFlags, deviceOptions, given } from '../flags/flags.js'

const examples = `
One page, report.html, that needs nothing else: curves, confusion, the most confident mistakes as images, the filters of
the first layer. Of a plan, a page for each of its trainings that has begun.

Examples:
  $ vggnet report runs/photos`

type Flags = DeviceFlags & { json?: true }

/** `vggnet report`: the page of a run. */
export function addReport(program: Command): void {
  const command = program
    .command('report')
    .description('make a page of a run: curves, confusion, mistakes, filters')
    .argument('<run>', 'the folder that train made')
  addDeviceFlags(command, 'auto').option('--json', 'one JSON array: the pages').addHelpText('after', examples)
  command.action(async (folder: string, flags: Flags) => {
    const pages: string[] = []
    for (const { name } of trainingsOf(folder, await readRunFile(folder))) {
      const own = path.join(folder, name)
      if (await exists(runFiles(own).log)) pages.push(await pageOf(own, flags))
    }
    if (pages.length === 0) throw new VggError('FILE_NOT_FOUND', `Nothing of the run in ${folder} has begun yet`)
    console.log(flags.json ? JSON.stringify(pages) : pages.join('\n'))
  })
}

/** The best model so far answers; before the first there are the curves alone. */
async function pageOf(folder: string, flags: Flags): Promise<string> {
  const { description } = await readRunFile(folder)
  const best = await loadBest(folder, deviceOptions(flags))
  if (best === undefined) return writeReport(folder, await collectReport(folder))
  const { net, path: model } = best
  try {
    const { validation } = datasetsFor(await findSources(description), description, net)
    const modelName = path.relative(folder, model)
    const known = validation && withClasses(validation, net.classNames)
    return await writeReport(folder, await collectReport(folder, { net, modelName, ...given({ validation: known }) }))
  } finally {
    net.dispose()
  }
}
