import path from 'node:path'
import type { Command } from 'commander'
import { withClasses } from '../../data/derived.js'
import { VggError } from '../../error.js'
import { exists } from '../../files/not-found.js'
import { collectReport, writeReport } from '../../report/report.js'
import { datasetsFor } from '../../run/datasets.js'
import { loadBest, readRunFile, runFiles, trainingsOf } from '../../run/folder.js'
import { findSources } from '../../run/sources.js'
import { printable } from '../../table.js'
import { addDeviceFlags, type DeviceFlags, deviceOptions, given, typedPath } from '../flags/flags.js'
import { print, printJson } from '../terminal/print.js'

const examples = `
Writes report.html, a self-contained page: curves, confusion matrix, per-class
results, most confident mistakes and first-layer filters. For a plan, one page
for each training that has started.

Examples:
  $ vggnet report runs/photos`

type Flags = DeviceFlags & { json?: true }

/** Adds `vggnet report`: writes the report page of a run. */
export function addReport(program: Command): void {
  const command = program
    .command('report')
    .description('write a report of a run: curves, confusion matrix, mistakes, filters')
    .argument('<run>', 'folder of the run', typedPath)
  addDeviceFlags(command, 'auto').option('--json', 'one JSON array: paths of the pages').addHelpText('after', examples)
  command.action(async (folder: string, flags: Flags) => {
    const pages: string[] = []
    for (const { name } of trainingsOf(folder, await readRunFile(folder))) {
      const own = path.join(folder, name)
      if (await exists(runFiles(own).log)) pages.push(await pageOf(own, flags))
    }
    if (pages.length === 0) throw new VggError('FILE_NOT_FOUND', `The run in ${folder} has not started yet`)
    if (flags.json) printJson(pages)
    else for (const page of pages) print(printable(page))
  })
}

/** Writes the report with the best model so far; without one, the report has the curves only. */
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
