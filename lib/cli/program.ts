import { Command } from 'commander'
import { packageVersion } from '../platform/package.js'
import { addBench } from './bench.js'
import { addCheck } from './check.js'
import { addClassify } from './classify.js'
import { addCuda } from './cuda.js'
import { addDescribe } from './describe.js'
import { addDoctor } from './doctor.js'
import { addEvaluate } from './evaluate.js'
import { exitCode, failureText } from './failure.js'
import { addReport } from './report.js'
import { addTrain } from './train.js'
import { addTune } from './tune.js'
import { printWarnings } from './warnings.js'

const commands = [
  addDescribe,
  addCheck,
  addTrain,
  addEvaluate,
  addClassify,
  addReport,
  addDoctor,
  addTune,
  addBench,
  addCuda,
]

const ending = `
Exit codes: 0 done, 1 failure, 2 wrong use (an unknown option, a value out of range), 130 interrupted.
An error is one sentence on the standard error output with its code; DEBUG=vggnet adds the stack.
NO_COLOR=1 turns colours off. 'vggnet help COMMAND' shows a command's options and examples.`

async function parse(): Promise<void> {
  const program = new Command('vggnet')
    .description(
      'VGG networks (Simonyan & Zisserman 2015): describe, check, train, evaluate, classify, report, tune, bench, CUDA',
    )
    .version(packageVersion())
    .showSuggestionAfterError()
    .addHelpText('after', ending)
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
  for (const add of commands) add(program)
  if (process.argv.length <= 2) program.help({ error: true })
  await program.parseAsync()
}

/** `vggnet` with the words of this process, to its end. */
export async function run(): Promise<void> {
  // A reader that has had enough (`vggnet describe | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1)
  })
  printWarnings()
  try {
    await parse()
  } catch (error) {
    // the warnings before it are on their way
    await new Promise((resolve) => setImmediate(resolve))
    process.exitCode = exitCode(error)
    const text = failureText(error)
    if (text !== undefined) console.error(text)
  }
}
