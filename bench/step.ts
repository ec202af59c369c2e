// Images per second of a whole network: npm run bench -- --variant D --image-size 224 --batch 8 --mode training
// On a CPU bench/peer_torch.py takes the same flags and prints the same line for PyTorch; run the two in turns.
// npm run bench -- --device cuda: VGG-16 and VGG-11 in ten cases, in turns with PyTorch (bench/peer_card.py).
import { type Case, cardCases, storedOf } from './cases.js'
import { readFlags } from './flags.js'
import { machineOf } from './machine.js'
import { because, measure, prepareSeconds } from './measure.js'
import { caseLines, type Found, headLines, stageLines, writeFound } from './report.js'
import type { Ceilings } from './roofline.js'
import { Torch } from './torch.js'

const flags = readFlags(process.argv.slice(2))
const start = performance.now()
const secondsLeft = () => (flags.limit ?? Number.POSITIVE_INFINITY) - (performance.now() - start) / 1000
const { device } = flags
const onCard = device.startsWith('cuda')
const stored = flags.precision ?? storedOf(device)
let torch = onCard || flags.peer ? new Torch(flags.peer ?? 'python3') : undefined

function chosenCases(): readonly Case[] {
  const { variant, batch, mode } = flags
  if (onCard && [variant, batch, mode, flags.imageSize].every((flag) => flag === undefined)) return cardCases
  return [
    {
      variant: variant ?? 'D',
      imageSize: flags.imageSize ?? 224,
      batch: batch ?? 8,
      mode: mode ?? 'training',
      headWidth: flags.headWidth ?? 4096,
      classes: flags.classes ?? 1000,
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
  if (flags.ceilings) return flags.ceilings
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
    rounds: flags.rounds,
    milliseconds: flags.milliseconds ?? (onCard ? 400 : 0),
    ...(torch && !flags.alone && { rival: torch }),
    ...(ceilings && { ceilings }),
    stages: flags.stages ?? false,
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
