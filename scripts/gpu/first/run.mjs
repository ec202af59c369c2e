// `gpu-check --part first`: what is to be known of a GPU in one call. The parts are data (parts.json). None is a gate for the
// next; a part that hangs, crashes or is cut off leaves what it found until then.
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { keepPlans, unpackedFolder } from '../carried.mjs'
import { endRunning, runLimited } from '../command.mjs'
import { clocks } from '../machine.mjs'
import { mostCharacters, summaryOf } from './summary.mjs'

/**
 * @typedef {{ name: string, words: string[], seconds?: number, cache?: string, environment?: Record<string, string> }} Part
 *   a program for Node; `seconds`: its budget, without one all that is left; `cache`: the name of a cache of its own
 */

const defaultTable = path.join(import.meta.dirname, 'parts.json')
const reserveSeconds = 8
const leastSeconds = 1
const longestPlans = 4 << 20
const secondsBetweenSummaries = 5

/** Reads what has been added to a file since the last call, whole lines only. */
function follow(file) {
  let position = 0
  return () => {
    if (!existsSync(file)) return ''
    const block = Buffer.alloc(Math.max(0, statSync(file).size - position))
    const opened = openSync(file, 'r')
    readSync(opened, block, 0, block.length, position)
    closeSync(opened)
    const length = block.lastIndexOf('\n') + 1
    position += length
    return block.toString('utf8', 0, length)
  }
}

/** The values of the lines that are whole: a line may have been cut. */
export function parsed(text) {
  return text.split('\n').flatMap((line) => {
    try {
      return line ? [JSON.parse(line)] : []
    } catch {
      return []
    }
  })
}

function stateOf({ status, late }) {
  if (late) return status === 'does not end' ? status : 'time limit'
  if (status === 0) return 'done'
  return typeof status === 'number' ? `failed (${status})` : `ended by ${status}`
}

function openRecord({ folder, report }) {
  const [lines, plans] = [report.file('jsonl'), path.join(folder, 'plans.jsonl')]
  for (const file of [lines, plans, `${plans}.gz`]) rmSync(file, { force: true })
  writeFileSync(lines, '')
  const newPlans = follow(plans)
  const record = {
    lines,
    plans,
    add: (part, finding) => appendFileSync(lines, `${JSON.stringify({ part, ...finding })}\n`),
    /** The library's lines about graphs and plans become findings of the part. */
    takePlans(part) {
      for (const plan of parsed(newPlans())) record.add(part, { name: 'plan', ...plan })
    },
    findings: () => parsed(readFileSync(lines, 'utf8')),
    packPlans() {
      if (!existsSync(plans) || statSync(plans).size <= longestPlans) return
      writeFileSync(`${plans}.gz`, gzipSync(readFileSync(plans)))
      rmSync(plans)
    },
  }
  return record
}

function environmentOf(root, { name, cache, environment }, { lines, plans }) {
  return {
    VGGNET_LINES: lines,
    VGGNET_PART: name,
    VGGNET_CUDA_LOG: plans,
    ...(cache && { VGGNET_CACHE: path.join(unpackedFolder(root), cache) }),
    ...environment,
  }
}

export async function runFirst({ root, folder, machine, report, secondsLeft, table = defaultTable }) {
  /** @type {Part[]} */
  const parts = JSON.parse(readFileSync(table, 'utf8'))
  const record = openRecord({ folder, report })
  const atStart = secondsLeft()
  let [planned, cut, current] = [0, '', '']
  const results = []

  // a finding of a form that nobody expects stops nothing
  function textOf() {
    try {
      return summaryOf({ machine, results, findings: record.findings(), parts })
    } catch (error) {
      return `${JSON.stringify(results, undefined, 1)}\nno summary: ${error.stack}\n`.slice(-mostCharacters)
    }
  }
  function summarise() {
    const summary = textOf()
    writeFileSync(`${report.file('txt')}.new`, summary)
    renameSync(`${report.file('txt')}.new`, report.file('txt'))
    return summary
  }
  function refresh() {
    record.takePlans(current)
    summarise()
  }
  const stop = (signal) => {
    cut = signal
    endRunning()
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, stop)
  const timer = setInterval(refresh, 1000 * secondsBetweenSummaries)

  function finish(part, found) {
    results.push({ part: part.name, ...found })
    record.add(part.name, { name: 'end', ...found })
    report.add(part.name, {
      ...found,
      findings: record.findings().filter((each) => each.part === part.name && each.name !== 'plan'),
    })
    console.log(`${part.name}: ${found.state}, ${found.seconds.toFixed(0)} s`)
  }

  record.add('machine', { name: 'machine', ...machine, ...(await clocks()) })
  for (const part of parts) {
    const { seconds = Number.POSITIVE_INFINITY } = part
    // What a part leaves of its budget is for those after it; what it takes too long to end is theirs, to a half.
    planned += seconds
    const own = Math.max(planned - (atStart - secondsLeft()), seconds / 2)
    const limit = Math.min(own, secondsLeft() - reserveSeconds)
    if (cut || limit < leastSeconds) {
      finish(part, { state: cut ? `not run: ${cut}` : 'not run: no time left', seconds: 0, limit: 0 })
      continue
    }
    current = part.name
    const how = { seconds: limit, log: report.log, cwd: root, env: environmentOf(root, part, record) }
    const ended = await runLimited(process.execPath, part.words, how)
    record.takePlans(part.name)
    const state = cut ? `cut off: ${cut}` : stateOf(ended)
    const error = state === 'done' ? undefined : ended.output.trimEnd().slice(-300)
    finish(part, { state, seconds: ended.seconds, limit, ...(error && { error }) })
    keepPlans(folder)
    summarise()
  }
  clearInterval(timer)
  record.add('machine', { name: 'at the end', ...(await clocks()) })
  record.packPlans()
  console.log(`\n${summarise()}`)
  return results.every(({ state }) => state === 'done')
}
