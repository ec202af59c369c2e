// Images per second of a whole network: npm run bench -- --variant D --image-size 224 --batch 8 --mode training
// On a CPU bench/peer_torch.py takes the same flags and prints the same line for PyTorch; run the two in turns.
// npm run bench -- --device cuda: VGG-16 and VGG-11 in ten cases, in turns with PyTorch (bench/peer_card.py).
import { parseArgs } from 'node:util'
import type { Device } from 'vggnet'
import { type Case, cardCases, storedOf } from './cases.js'
import { machineOf } from './machine.js'
import { because, measure, prepareSeconds } from './measure.js'
import { caseLines, type Found, headLines, stageLines, writeFound } from './report.js'
import type { Ceilings } from './roofline.js'
import { Torch } from './torch.js'

const text = { type: 'string' } as const
const on = { type: 'boolean', default: false } as const
const { values: flags } = parseArgs({
  options: {
    variant: text,
    'image-size': text,
    batch: text,
    'head-width': text,
    classes: text,
    mode: text,
    rounds: text,
    /** Of one round; at least one run. */
    milliseconds: text,
    device: text,
    precision: text,
    /** Where each stage's time goes, besides. */
    stages: on,
    /** TFLOP/s and TB/s of this card, '788,4.3', instead of measuring them through PyTorch. */
    ceilings: text,
    /** A python that has PyTorch; default python3 on a card. */
    peer: text,
    /** No PyTorch in turns; it still measures the ceilings. */
    alone: on,
    /** Seconds after which no other case is begun. */
    limit: text,
    /** A file for what was found. */
    json: text,
  },
})

const start = performance.now()
const secondsLeft = () => Number(flags.limit ?? Number.POSITIVE_INFINITY) - (performance.now() - start) / 1000
const device = (flags.device ?? 'cpu') as Device
const onCard = device.startsWith('cuda')
const stored = storedOf(device, flags.precision)
let torch = onCard || flags.peer ? new Torch(flags.peer ?? 'python3') : undefined

function chosenCases(): readonly Case[] {
  const { variant, batch, mode } = flags
  if (onCard && [variant, batch, mode, flags['image-size']].every((flag) => flag === undefined)) return cardCases
  if (mode !== undefined && mode !== 'training' && mode !== 'inference')
    throw new Error(`Expected training or inference for --mode but received '${mode}'`)
  return [
    {
      variant: variant ?? 'D',
      imageSize: Number(flags['image-size'] ?? 224),
      batch: Number(batch ?? 8),
      mode: mode ?? 'training',
      headWidth: Number(flags['head-width'] ?? 4096),
      classes: Number(flags.classes ?? 1000),
    },
  ]
}

async function versionsOfTorch(): Promise<Record<string, string>> {
  if (torch === undefined) return {}
  try {
    const found = await torch.versions(prepareSeconds({ secondsLeft }))
    return { torch: String(found.torch), 'cudnn-of-torch': String(found.cudnn) }
  } catch (error) {
    console.log(`No PyTorch: ${because(error)}`)
    torch = undefined
    return {}
  }
}

async function ceilingsOf(): Promise<Ceilings | undefined> {
  const [product, copy] = (flags.ceilings ?? '').split(',').map((value) => Number(value) * 1e12)
  if (product && copy) return { flopsPerSecond: product, bytesPerSecond: copy }
  try {
    return await torch?.ceilings(stored, prepareSeconds({ secondsLeft }))
  } catch (error) {
    console.log(`No ceilings: ${because(error)}; --ceilings TFLOPS,TBS gives them`)
    return undefined
  }
}

const cases = chosenCases()
try {
  const machine = machineOf(await versionsOfTorch())
  const ceilings = await ceilingsOf()
  const found: Found = { machine, precision: stored, ...(ceilings && { ceilings }), cases: [] }
  if (cases.length > 1 || ceilings) console.log(headLines(found).join('\n'))
  const settings = {
    run: { device, ...(flags.precision && { precision: stored }) },
    stored,
    rounds: Number(flags.rounds ?? 6),
    milliseconds: Number(flags.milliseconds ?? (onCard ? 400 : 0)),
    ...(torch && !flags.alone && { rival: torch }),
    ...(ceilings && { ceilings }),
    stages: flags.stages,
    secondsLeft,
  }
  for (const one of cases) {
    const result = await measure(one, settings)
    found.cases.push(result)
    console.log(caseLines(result).join('\n'))
    if (result.stages) console.log(stageLines(result.stages).join('\n'))
    if (flags.json) writeFound(flags.json, found)
    if (result.error) process.exitCode = 1
  }
} finally {
  torch?.close()
}
