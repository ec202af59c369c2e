import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { unpackedFolder } from './carried.mjs'
import { runLimited } from './command.mjs'

/** A small net before anything else: where there is no GPU its error is the finding. What follows runs in any case. */
export async function tryCard({ root, report, secondsLeft }) {
  const program = path.join(root, 'scripts', 'gpu', 'small-net.mjs')
  const env = { VGGNET_CUDA_PLANS: '1', VGGNET_CACHE: path.join(unpackedFolder(root), 'smoke') }
  const how = { seconds: Math.min(60, secondsLeft() / 4), log: report.log, cwd: root, env }
  const { status, output, seconds, late } = await runLimited(process.execPath, [program, 'quick'], how)
  const ok = status === 0
  report.add('small net', { ok, seconds, output: output.slice(-3000) })
  if (ok) report.say(`small net: ran in ${seconds.toFixed(0)} s`)
  else report.say(`small net: ${late ? 'time limit' : `FAILED (${status})`}\n${output.slice(-1500).trimEnd()}`)
  return ok
}

function linesOf(file) {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

async function vitest({ root, report, secondsLeft }, positions, name, words, keepSeconds) {
  const lines = report.file(`${name}.jsonl`)
  rmSync(lines, { force: true })
  const program = path.join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const { late, status } = await runLimited(
    process.execPath,
    [program, 'run', '--config', path.join(root, 'vitest.card.config.ts'), ...words, ...positions],
    {
      seconds: secondsLeft() - keepSeconds,
      log: report.log,
      cwd: root,
      env: {
        VGGNET_CARD: '1',
        VGGNET_LINES: lines,
        // several nets at once: a thread for each processor each would make all of them wait
        OMP_NUM_THREADS: '4',
        // hundreds of small shapes: the first plans that are right will do, and they are not to be used for speed
        VGGNET_CUDA_PLANS: '2',
        VGGNET_CACHE: path.join(unpackedFolder(root), 'tests'),
      },
    },
  )
  const results = linesOf(lines)
  rmSync(lines, { force: true })
  return { late, status, results }
}

const count = (results, state) => results.filter((result) => result.state === state).length
const failuresOf = (results) => results.filter((result) => result.state === 'failed')

function sayFailures(report, failures) {
  for (const { file, name, error } of failures.slice(0, 60)) report.say(`  x ${file} > ${name}\n      ${error}`)
}

function sayResults(report, name, { late, status, results }) {
  report.add(name, { late, status, results })
  const counts = `${count(results, 'passed')} passed, ${count(results, 'failed')} failed, ${count(results, 'skipped')} skipped`
  report.say(`${name}: ${counts}${late ? ', time limit' : ''}`)
  sayFailures(report, failuresOf(results))
  return !late && status === 0 && results.length > 0
}

const alone = '--no-file-parallelism'

async function runVitest(session) {
  const { report, secondsLeft } = session
  const first = await vitest(session, ['test/device', 'test/network'], 'first', ['--maxWorkers=6'], 110)
  const good = sayResults(report, 'device and network', first)
  // It fills the card and looks at its memory: with nobody beside it.
  const endurance = await vitest(session, ['test/card'], 'endurance', [alone], 15)
  const endured = sayResults(report, 'endurance and faults', endurance)
  const files = [...new Set(failuresOf(first.results).map(({ file }) => file))].filter(Boolean)
  if (files.length > 0 && secondsLeft() > 40) {
    sayResults(report, 'failed files alone', await vitest(session, files, 'again', [alone], 10))
  }
  return good && endured
}

async function runDemo({ root, report, secondsLeft }) {
  const program = path.join(root, 'examples', 'demo', 'main.ts')
  const how = { seconds: Math.min(120, secondsLeft()), log: report.log, cwd: root }
  const { status, output, late } = await runLimited(process.execPath, ['--import', 'tsx', program, '--json'], how)
  const last = output
    .trimEnd()
    .split('\n')
    .findLast((line) => line.startsWith('{'))
  if (status !== 0 || !last) {
    report.add('demo', { ok: false, output: output.slice(-3000) })
    report.say(`demo: ${late ? 'time limit' : `FAILED (${status})`}\n${output.slice(-800)}`)
    return false
  }
  const { testAccuracy, seconds, imagesPerSecond, device } = JSON.parse(last)
  const ok = device.startsWith('cuda') && testAccuracy > 0.975
  report.add('demo', { ok, testAccuracy, seconds, imagesPerSecond, device })
  const rates = `${(100 * testAccuracy).toFixed(2)} % right, ${imagesPerSecond.toFixed(0)} images/s`
  report.say(`demo: ${rates}, ${seconds.toFixed(0)} s on ${device}${ok ? '' : ' FAILED'}`)
  return ok
}

/** A small net, the demo, then the tests: what is known soonest comes first. */
export async function runTests(session) {
  const small = await tryCard(session)
  const demo = await runDemo(session)
  return (await runVitest(session)) && demo && small
}
