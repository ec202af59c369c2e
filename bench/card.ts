// The benchmark on a card: all cases in this process, PyTorch in one other.
import { messageOf } from '../lib/error.js'
import { cardCases, storedOf } from './cases.js'
import type { Flags } from './flags.js'
import { measure } from './measure.js'
import { cardRivals } from './rivals.js'
import type { Ceilings } from './roofline.js'
import type { Say, Session } from './session.js'
import { Torch } from './torch.js'

/** What PyTorch may take to compile one network. */
const prepareSeconds = 150

export async function openCard(flags: Flags, say: Say): Promise<Session> {
  const start = performance.now()
  const secondsLeft = () => (flags.limit ?? Number.POSITIVE_INFINITY) - (performance.now() - start) / 1000
  const { device } = flags
  const stored = flags.precision ?? storedOf(device)
  let torch: Torch | undefined = Torch.onCard(flags.peer ?? 'python3')

  async function versionsOfTorch(): Promise<Record<string, string>> {
    try {
      const found = await torch?.versions(Math.min(prepareSeconds, secondsLeft()))
      return { torch: String(found?.torch), 'cudnn-of-torch': String(found?.cudnn) }
    } catch (error) {
      say(`No PyTorch: ${messageOf(error)}`)
      torch?.close()
      torch = undefined
      return {}
    }
  }

  async function ceilingsOf(): Promise<Ceilings | undefined> {
    if (flags.ceilings) return flags.ceilings
    try {
      return await torch?.ceilings(stored, Math.min(prepareSeconds, secondsLeft()))
    } catch (error) {
      say(`No ceilings: ${messageOf(error)}; --ceilings TFLOPS,TBS gives them`)
      return undefined
    }
  }

  const versions = await versionsOfTorch()
  const ceilings = await ceilingsOf()
  const settings = {
    run: { device, ...(flags.precision && { precision: stored }) },
    stored,
    rounds: flags.rounds,
    milliseconds: flags.milliseconds ?? 400,
    rivalsOf: (one: (typeof cardCases)[number]) => (torch && !flags.alone ? cardRivals(torch, one, stored) : []),
    prepareSeconds,
    ...(ceilings && { ceilings }),
    stages: flags.stages ?? false,
    secondsLeft,
  }
  return {
    versions,
    ...(ceilings && { ceilings }),
    cases: cardCases,
    measure: (one) => measure(one, settings),
    scaling: async () => {
      throw new Error('a card has no threads to choose')
    },
    close: () => torch?.close(),
  }
}
