// Images per second of a whole network, beside others: npm run bench. --help says the rest.
import { openCard } from './card.js'
import { type Case, scalingCases, storedOf } from './cases.js'
import { namedCase, readFlags } from './flags.js'
import { caseRecords, scalingRecord } from './json-lines.js'
import { machineOf } from './machine.js'
import { openProcessor } from './processor.js'
import { caseLines, type Found, headLines, scalingLine, stageLines, writeFound } from './report.js'
import type { Say, Session } from './session.js'

const flags = readFlags(process.argv.slice(2))
const lines = flags.json === true
const say: Say = lines ? console.error : console.log

async function measureCases(session: Session, cases: readonly Case[], found: Found): Promise<void> {
  for (const one of cases) {
    const result = await session.measure(one)
    found.cases.push(result)
    say(caseLines(result).join('\n'))
    if (result.stages) say(stageLines(result.stages).join('\n'))
    if (typeof flags.json === 'string') writeFound(flags.json, found)
    if (lines) for (const record of caseRecords(result, found)) console.log(JSON.stringify(record))
    if (result.error) process.exitCode = 1
  }
}

async function measureScalings(session: Session, cases: readonly Case[], found: Found): Promise<void> {
  found.scaling = []
  for (const one of cases) {
    const result = await session.scaling(one)
    found.scaling.push(result)
    say(scalingLine(result))
    if (typeof flags.json === 'string') writeFound(flags.json, found)
    if (lines) console.log(JSON.stringify(scalingRecord(result, found)))
    if (result.error) process.exitCode = 1
  }
}

const named = namedCase(flags)
const session = await (flags.device.startsWith('cuda') ? openCard : openProcessor)(flags, say)
try {
  const { ceilings, versions } = session
  const precision = flags.precision ?? storedOf(flags.device)
  const found: Found = { machine: machineOf(versions), precision, ...(ceilings && { ceilings }), cases: [] }
  say(headLines(found).join('\n'))
  if (flags.scaling) await measureScalings(session, named ? [named] : scalingCases, found)
  else await measureCases(session, named ? [named] : session.cases, found)
} finally {
  session.close()
}
