import type { Facts } from './facts.js'

/** One thing that decides whether and how well vggnet computes here. */
export interface Verdict {
  readonly kind: 'works' | 'fails' | 'hint'
  /** A sentence. */
  readonly text: string
  /** What to type or do; empty: nothing. */
  readonly cure: string
}

/** What an error of loading says to do. */
const cureIn = (message: string): string => /^Cure: (.*)$/m.exec(message)?.[1] ?? ''

function processorVerdict({ addon, devices }: Facts): Verdict {
  if (addon.obstacle !== '')
    return { kind: 'fails', text: 'vggnet does not load, and nothing can be computed', cure: cureIn(addon.obstacle) }
  const cpu = devices.find(({ device }) => device === 'cpu')
  if (cpu?.works) return { kind: 'works', text: "device 'cpu': a small multiplication comes out right", cure: '' }
  const cure = '`npx vggnet doctor --json` in a bug report'
  return { kind: 'fails', text: `device 'cpu' does not compute: ${cpu?.obstacle}`, cure }
}

/** What is in backquotes is there to be typed. */
const commandIn = (text: string): string => /`[^`]+`/.exec(text)?.[0] ?? ''

function cardVerdicts({ cuda, devices }: Facts): Verdict[] {
  if (cuda === undefined) return []
  const cards = devices.filter(({ device }) => device !== 'cpu')
  const { driver, library } = cuda
  // where the process that looked at it was ended, nothing is known of the driver
  if (driver.path === '' && driver.obstacle !== '') {
    const text = 'no NVIDIA driver, so that no card can be used'
    return [{ kind: 'hint', text, cure: "where there is a card: NVIDIA's driver, R580 or later" }]
  }
  if (driver.obstacle !== '') return [{ kind: 'hint', text: `no card is used: ${driver.obstacle}`, cure: '' }]
  if (library.path === '') {
    const text = `the cards are not used: ${library.obstacle}`
    return [{ kind: 'hint', text, cure: commandIn(library.obstacle) }]
  }
  return cards.map(({ device, works, precision, obstacle }): Verdict => {
    if (works)
      return {
        kind: 'works',
        text: `device '${device}': a small multiplication in ${precision} comes out right`,
        cure: '',
      }
    return { kind: 'fails', text: obstacle, cure: commandIn(obstacle) || '`npx vggnet cuda status` says what is there' }
  })
}

function packageVerdicts({ addon, paths }: Facts): Verdict[] {
  const faults = addon.libraries.filter(({ fault }) => fault !== '')
  const cure = 'install the package anew, or see what has changed it'
  const damaged = faults.map(({ name, fault }): Verdict => ({ kind: 'hint', text: `${name} ${fault}`, cure }))
  if (paths.cacheWritable) return damaged
  const text = `the cache ${paths.cache} cannot be written: every start looks at the binary anew (0.1 s), nothing is kept`
  return [...damaged, { kind: 'hint', text, cure: 'VGGNET_CACHE=FOLDER names another' }]
}

function speedVerdicts({ processor, addon, tuning }: Facts): Verdict[] {
  if (addon.obstacle !== '') return []
  const found: Verdict[] = []
  const { quota } = processor
  if (quota !== null && quota < addon.threads) {
    const text = `the control group gives ${quota} processors, and ${addon.threads} threads would wait for each other`
    found.push({
      kind: 'hint',
      text,
      cure: `\`threads: ${Math.max(1, Math.floor(quota))}\` in the options of a network`,
    })
  }
  if (processor.instructionSets.length === 0)
    found.push({ kind: 'hint', text: 'the processor has no AVX2, so that computing is slow', cure: '' })
  if (addon.debug) found.push({ kind: 'hint', text: 'this is the build with sanitizers, which is slow', cure: '' })
  if (tuning?.source === 'default' && process.env.VGGNET_TUNING !== 'off')
    found.push({ kind: 'hint', text: 'not tuned for this processor', cure: '`npx vggnet tune`, under a minute' })
  return found
}

/** What an examination comes to, in words: what works, what does not, what to type. */
export const verdictsOf = (found: Facts): Verdict[] => [
  processorVerdict(found),
  ...cardVerdicts(found),
  ...packageVerdicts(found),
  ...speedVerdicts(found),
]
