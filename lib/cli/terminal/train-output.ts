import path from 'node:path'
import pc from 'picocolors'
import type { Group } from '../../group/group.js'
import { commandText } from '../../platform/package.js'
import type { Datasets } from '../../run/datasets.js'
import type { PlanHooks } from '../../run/run.js'
import { countText, printable } from '../../table.js'
import type { TrainReport } from '../../train/events.js'
import { deviceLine, progressOn, reportLine } from '../../train/log.js'
import type { VGG } from '../../vgg/vgg.js'
import { print, printJson } from './print.js'
import { waitingOn } from './progress.js'
import { printText } from './sections.js'

/** Output of a run. */
export interface RunOutput {
  readonly hooks: PlanHooks
  /** Removes the progress bar, before anything else is printed. */
  pause(): void
  /** Prints the end. @param report undefined where the run was already finished */
  end(report: TrainReport | undefined, model: string): void
}

/** Creates the output of a run: text with a progress bar, or JSON lines. */
export const runOutput = (folder: string, json: boolean): RunOutput => (json ? jsonOutput() : textOutput(folder))

function printEvent(event: string, fields: object): void {
  printJson({ event, ...fields })
}

function jsonOutput(): RunOutput {
  let device = {}
  return {
    hooks: {
      onStage: ({ name }, number, of) => of > 1 && printEvent('stage', { name, number, of }),
      onStart: (net) => {
        const { device: name, deviceReason, precision } = net
        device = { device: name, deviceReason, precision }
      },
      onNotice: (text) => printEvent('notice', { text }),
      onEpoch: (event) => printEvent('epoch', event),
    },
    pause() {},
    end: (report, model) => printEvent('end', { ...report, ...device, path: model }),
  }
}

function textOutput(folder: string): RunOutput {
  const progress = progressOn(process.stderr)
  const waiting = waitingOn(process.stderr)
  return {
    hooks: {
      onStage({ name }, number, of) {
        if (of > 1) print(pc.bold(`\n${number} of ${of}: ${printable(name)}`))
      },
      onStart(net, data, resumed) {
        printText(startLine(net, data))
        printText(deviceLine(net))
        if (net.group !== undefined) printText(groupLine(net.group))
        if (resumed) print(`resuming after step ${resumed.step}, ${resumed.epochsDone} epochs done`)
      },
      onNotice(text) {
        waiting.end()
        printText(printable(text), process.stderr)
      },
      onFeatures({ done, of }) {
        waiting.update('output of the frozen layers:', done, of)
        if (done === of) waiting.end()
      },
      ...progress.callbacks,
    },
    pause() {
      waiting.end()
      progress.end()
    },
    end(report, model) {
      progress.end()
      printText(report === undefined ? 'The run was already finished.' : reportLine(report))
      if (report?.noBetterThanChance !== undefined) printText(pc.yellow(report.noBetterThanChance))
      printText(
        `saved to ${printable(path.relative('.', model) || model)}; \`${commandText(['report', folder])}\` writes a report`,
      )
    },
  }
}

function groupLine({ size, hosts, version }: Group): string {
  const names = new Set(hosts)
  return `${size} ranks on ${names.size === 1 ? hosts[0] : `${names.size} hosts`}, ${version}`
}

function startLine(net: VGG, { training, validation }: Datasets): string {
  const [height, width] = net.imageSize
  const held = validation === undefined ? 'no validation' : `${validation.count} for validation`
  const count = net.parameters.reduce((sum, parameter) => sum + parameter.count, 0)
  const size = `${height}x${width}x${net.channels}`
  const made = `VGG ${net.variant} (${size}, ${net.classes} classes, ${countText(count)} parameters)`
  return `${made}: ${training.count} images, ${held}`
}
