import { stripVTControlCharacters } from 'node:util'
import type { Command } from 'commander'
import pc from 'picocolors'
import { VggError } from '../../error.js'
import { type ClassProbability, classifyEach } from '../../evaluate/classify.js'
import { checkHead } from '../../network/arguments.js'
import { integer } from '../../options.js'
import { columnsOf, longestName, printable } from '../../table.js'
import { deviceLine, percent } from '../../train/log.js'
import { addDecodingFlags, type DecodingFlags, decodingOf } from '../flags/data-flags.js'
import {
  addDeviceFlags,
  addThreadsFlag,
  type DeviceFlags,
  deviceOptions,
  given,
  number,
  typedPath,
} from '../flags/flags.js'
import { failureText } from '../terminal/exit.js'
import { print, printJson } from '../terminal/print.js'
import { loadShown } from '../terminal/progress.js'
import { printText } from '../terminal/sections.js'

const examples = `
Each image is rescaled to the scale of the training (the paper's S, the middle
of a range), or else to cover the network's input size; its proportions are
kept, and the centre crop is classified.

A file that cannot be read is named on standard error, and with --json in the
array. The other files are classified. The exit code is then 1.

Examples:
  $ vggnet classify digits.safetensors seven.png
  $ vggnet classify runs/photos photos/*.jpg --top 3 --json`

interface Flags extends DeviceFlags, DecodingFlags {
  top: number
  json?: true
  threads?: number
}

/** Adds `vggnet classify`: classifies image files with a saved model. */
export function addClassify(program: Command): void {
  const command = program
    .command('classify')
    .description('classify images with a saved model')
    .argument(
      '<model>',
      'a saved model, the folder of a run (its best model), trained weights of another program, or hf://OWNER/NAME',
      typedPath,
    )
    .argument('<image...>', 'image files: PNG, JPEG, WebP, GIF, AVIF, TIFF; SVG with --formats svg')
    .option('--top <k>', 'number of most probable classes to print', number, 1)
  addThreadsFlag(addDecodingFlags(addDeviceFlags(command, 'auto')))
    .option('--json', 'one JSON array: file, and answers (class, index, probability) or error (code, message)')
    .addHelpText('after', examples)
    .action(runClassify)
}

async function runClassify(model: string, files: string[], flags: Flags): Promise<void> {
  const net = await loadShown(model, { ...deviceOptions(flags), ...given({ threads: flags.threads }) })
  if (process.stderr.isTTY && !flags.json) printText(pc.dim(deviceLine(net)), process.stderr)
  try {
    checkHead(net, 'classify')
    const top = integer(1, net.classes)(flags.top, '--top')
    const answers = await classifyEach(net, files, { top, ...decodingOf(flags) })
    const results = files.map((file, index) => ({ file, answer: answers[index] ?? [] }))
    const failed = results.flatMap(({ answer }) => (answer instanceof VggError ? [answer] : []))
    if (flags.json) printJson(results.map(jsonOf), 2)
    else for (const line of textLines(results)) print(line)
    for (const error of failed) print(failureText(error) ?? '', process.stderr)
    if (failed.length > 0) process.exitCode = 1
  } finally {
    net.dispose()
  }
}

/** A file with its classes, or the error of the file. */
interface Result {
  readonly file: string
  readonly answer: readonly ClassProbability[] | VggError
}

function jsonOf({ file, answer }: Result) {
  if (!(answer instanceof VggError)) return { file, answers: answer }
  return { file, error: { code: answer.code, message: answer.message } }
}

/** Longest names, in characters. --json has them whole. */
const longest = { ...longestName, file: 100 } as const

function textLines(results: readonly Result[]): string[] {
  const names = results.map(({ file }) => printable(file, longest.file))
  const width = names.reduce((most, name) => Math.max(most, name.length), 0)
  return results.flatMap(({ answer }, index) => {
    if (answer instanceof VggError) return []
    const texts = answerTexts(answer)
    const line = [names[index]?.padEnd(width), ...texts].join('  ')
    const fits = stripVTControlCharacters(line).length <= columnsOf(process.stdout)
    return fits ? [line] : [names[index] ?? '', ...texts.map((text) => `  ${text}`)]
  })
}

const answerTexts = (answers: readonly ClassProbability[]): string[] =>
  answers.map(({ class: name, probability }, rank) => {
    const text = printable(name, longest.class)
    return `${rank === 0 ? pc.bold(text) : text} ${percent(probability)}`
  })
