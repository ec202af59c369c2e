import type { Command } from 'commander'
import { VggError } from '../error.js'
import { packageVersion } from '../platform/package.js'
import { printable } from '../table.js'
import { addBench } from './commands/bench.js'
import { addCheck } from './commands/check.js'
import { addClassify } from './commands/classify.js'
import { addCuda } from './commands/cuda.js'
import { addDescribe } from './commands/describe.js'
import { addDoctor } from './commands/doctor.js'
import { addEmbed } from './commands/embed.js'
import { addEvaluate } from './commands/evaluate.js'
import { addExplain } from './commands/explain.js'
import { addImport } from './commands/import.js'

import { addNearest } from './commands/nearest.js'
import { addProbe } from './commands/probe.js'

import { addReport } from './commands/report.js'
import { addTrain } from './commands/train.js'
import { addTune } from './commands/tune.js'
import { addVerify } from './commands/verify.js'
import { TerminalCommand } from './flags/command.js'
import { exitCode, failureText, outputLost } from './terminal/exit.js'
import { print } from './terminal/print.js'

const commands = [
  addDescribe,
  addCheck,
  addTrain,
  addEvaluate,
  addClassify,
  addExplain,
  addEmbed,
  addNearest,
  addProbe,
  addImport,
  addVerify,
  addReport,
  addDoctor,
  addTune,
  addBench,
  addCuda,
]

const ending = `
Exit codes: 0 success, 1 failure, 2 wrong use (an unknown option, a value out of
range); stopped by a signal 128 + its number: 130 Ctrl-C, 143 SIGTERM, 129 a
closed terminal, 141 a closed pipe; 75 a rank of a group that was lost (mpirun).
A training that is stopped is saved first.
Errors go to standard error, one line with a code; DEBUG=vggnet adds the stack.
NO_COLOR=1 turns colours off. 'vggnet help COMMAND' shows a command's options
and examples.`

/** Creates the program with all its commands. */
export function createProgram(): Command {
  const program = new TerminalCommand('vggnet')
    .description(
      'VGG networks (Simonyan & Zisserman 2015): describe, check, train, evaluate, classify, explain, embed, nearest, probe, import, verify, report, tune, bench, CUDA',
    )
    .version(packageVersion())
    .showSuggestionAfterError()
    .addHelpText('after', ending)
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
  for (const add of commands) add(program)
  return program
}

/** @throws FILE_NOT_FOUND if the working folder was removed, where no relative path means anything */
function checkWorkingFolder(): void {
  try {
    process.cwd()
  } catch (cause) {
    const message = 'The working folder was removed: change to a folder that exists (cd), and type the command again'
    throw new VggError('FILE_NOT_FOUND', message, { cause })
  }
}

async function parse(): Promise<void> {
  checkWorkingFolder()
  const program = createProgram()
  if (process.argv.length <= 2) program.help({ error: true })
  await program.parseAsync()
}

/** Prints each warning of vggnet as one line on standard error; other warnings as Node prints them. */
function printWarnings(): void {
  const others = process.listeners('warning')
  process.removeAllListeners('warning')
  process.on('warning', (warning) => {
    if (warning.name.startsWith('Vgg')) print(`vggnet: ${printable(warning.message)}`, process.stderr)
    else for (const listener of others) listener(warning)
  })
}

/** Runs `vggnet` with the arguments of this process. */
export async function run(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', outputLost)
  printWarnings()
  try {
    await parse()
  } catch (error) {
    // earlier warnings are emitted in the next tick
    await new Promise((resolve) => setImmediate(resolve))
    process.exitCode = exitCode(error)
    const text = failureText(error)
    if (text !== undefined) print(text, process.stderr)
  }
}
