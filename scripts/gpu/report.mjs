import { appendFileSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const longestLog = 4 << 20

/**
 * The findings of one part: PART.json, whole after every finding, PART.txt, text for people, and PART.log, all output.
 * @param {{ folder: string, part: string, machine: object }} what
 */
export function openReport({ folder, part, machine }) {
  mkdirSync(folder, { recursive: true })
  const file = (ending) => path.join(folder, `${part}.${ending}`)
  const found = { part, machine, seconds: 0, ok: false, findings: {} }
  const start = performance.now()
  writeFileSync(file('log'), '')
  writeFileSync(file('txt'), '')
  const keep = () => {
    found.seconds = Math.round((performance.now() - start) / 1000)
    writeFileSync(`${file('json')}.new`, `${JSON.stringify(found, undefined, 1)}\n`)
    renameSync(`${file('json')}.new`, file('json'))
  }
  const report = {
    log: file('log'),
    file,
    /** A line of the table. */
    say(text) {
      console.log(text)
      appendFileSync(file('txt'), `${text}\n`)
    },
    /** On disk at once. */
    add(name, finding) {
      found.findings[name] = finding
      keep()
    },
    end(ok) {
      found.ok = ok
      keep()
      // the beginning has the cause
      if (statSync(report.log).size > longestLog) {
        writeFileSync(report.log, readFileSync(report.log).subarray(0, longestLog))
      }
    },
  }
  report.say(
    `${part}: ${Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
  )
  keep()
  return report
}
