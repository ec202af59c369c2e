// npm run demo: trains configuration A of the paper on handwritten digits, saves it and uses it from the command line.
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import pc from 'picocolors'
import {
  type Dataset,
  deviceLine,
  evaluate,
  meanOf,
  progressOn,
  reportLine,
  save,
  stratifiedSplit,
  train,
  VGG,
} from 'vggnet'
import { classifyTen } from './classify.ts'
import { readDigits } from './digits.ts'
import { confusionLines, digitLines } from './draw.ts'

const heldOut = 2000

const usage = `npm run demo -- [--epochs N] [--seed N] [--json]
  --epochs N  passes through the digits (default 7)
  --seed N    seed of weights, dropout, order, shifts and split (default 1)
  --json      one JSON line at the end: testAccuracy, seconds, imagesPerSecond, device, path`

function readFlags() {
  const number = { type: 'string' } as const
  const on = { type: 'boolean', default: false } as const
  const { values } = parseArgs({ options: { epochs: number, seed: number, json: on, help: on } })
  const { epochs = '7', seed = '1', json, help } = values
  return { epochs: Number(epochs), seed: Number(seed), json, help }
}

/** Creates configuration A for 32x32 grey images. The input of fc6 is 1x1x512, so a head of 512 suffices. */
async function createNet(training: Dataset, seed: number): Promise<VGG> {
  return VGG.create({
    variant: 'A',
    classes: training.classNames.length,
    channels: 1,
    imageSize: 32,
    headWidth: 512,
    initialisation: 'he',
    // the paper's 0.5 is for a head of 4096 and 74 epochs; here training would stagnate for the first epoch
    dropout: 0.2,
    // smaller inputs give an initial loss nearer to ln(10)
    scale: 1 / 128,
    meanRgb: await meanOf(training),
    classNames: training.classNames,
    seed,
  })
}

async function run({ epochs, seed, json }: { epochs: number; seed: number; json: boolean }): Promise<void> {
  const { training, validation: test } = stratifiedSplit(await readDigits(), heldOut, seed)
  const net = await createNet(training, seed)
  try {
    console.log(
      pc.bold(`Training VGG ${net.variant} on ${training.count} handwritten digits`) + pc.dim(` ${deviceLine(net)}`),
    )
    const report = await train(net, training, {
      epochs,
      batch: 64,
      learningRate: 0.03,
      schedule: { kind: 'cosine', warmup: 1 },
      shift: 2,
      seed,
      ...progressOn(process.stderr).callbacks,
    })
    console.log(pc.dim(`${reportLine(report)}, ${report.imagesPerSecond.toFixed(0)} images/s`))

    const metrics = await evaluate(net, test)
    const accuracy = `${(100 * metrics.top1).toFixed(2)} %`
    console.log(`\nAccuracy on ${test.count} held-out digits: ${pc.bold(pc.green(accuracy))}\n`)
    console.log(confusionLines(metrics).join('\n'))

    const model = path.join('demo-output', 'digits.safetensors')
    await mkdir(path.dirname(model), { recursive: true })
    await save(net, model)
    console.log(`\nSaved to ${model}. A new process classifies ten of them:`)
    console.log(`${pc.cyan(`vggnet classify ${model} demo-output/digits/*.png`)}\n`)
    console.log(digitLines(await classifyTen(model, test, seed)).join('\n'))

    const { seconds, imagesPerSecond } = report
    const result = {
      testAccuracy: metrics.top1,
      seconds,
      imagesPerSecond,
      device: net.device,
      path: path.resolve(model),
    }
    if (json) console.log(JSON.stringify(result))
  } finally {
    net.dispose()
  }
}

const flags = readFlags()
if (flags.help) console.log(usage)
else await run(flags)
