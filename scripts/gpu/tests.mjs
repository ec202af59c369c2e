import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { unpackedFolder } from './carried.mjs'
import { runLimited } from './command.mjs'

/** A small net on the card before anything else; its error is the finding where there is none. */
export async function tryCard({ root, report, secondsLeft }) {
  const program = path.join(root, 'scripts', 'gpu', 'small-net.mjs')
  const how = { seconds: Math.min(180, secondsLeft()), log: report.log, cwd: root }
  const { status, output, seconds, late } = await runLimited(process.execPath, [program], how)
  const ok = status === 0
  report.add('small net', { ok, seconds, output: output.slice(-3000) })
  if (ok) {
    report.say(`small net: ran in ${seconds.toFixed(0)} s, plans chosen`)
  } else {
    const said = /^.*(?:Error|Expected)[^\n]*(?:\n(?! {4}at ).*)*/m.exec(output)?.[0] ?? output.slice(-1500)
    report.say(`small net: ${late ? 'time limit' : `FAILED (${status})`}\n${said}`)
  }
  return ok
}

function linesOf(file) {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

async function vitest({ root, report, secondsLeft }, places, name, words, keepSeconds) {
  const lines = report.file(`${name}.jsonl`)
  rmSync(lines, { force: true })
  const program = path.join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const reporter = path.join(root, 'scripts', 'gpu', 'line-reporter.mjs')
  const limits = ['--testTimeout=180000', '--hookTimeout=180000']
  const { late, status } = await runLimited(
    process.execPath,
    [program, 'run', '--reporter', reporter, ...limits, ...words, ...places],
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

async function runVitest(session) {
  const { report, secondsLeft } = session
  const first = await vitest(session, ['test/device', 'test/network', 'test/card'], 'first', ['--maxWorkers=6'], 15)
  const failed = failuresOf(first.results)
  const ended = first.late ? ', time limit' : ''
  report.add('tests', { late: first.late, status: first.status, results: first.results })
  const [passed, skipped] = [count(first.results, 'passed'), count(first.results, 'skipped')]
  report.say(`tests: ${passed} passed, ${failed.length} failed, ${skipped} skipped${ended}`)
  sayFailures(report, failed)
  if (failed.length === 0) return first.results.length > 0 && !first.late && first.status === 0
  if (secondsLeft() < 40) return false
  // Those that fill the card disturb their neighbours: what failed runs once more with nobody beside it.
  const files = [...new Set(failed.map(({ file }) => file))]
  const again = await vitest(session, files, 'again', ['--no-file-parallelism'], 10)
  const still = failuresOf(again.results)
  report.add('failed files alone', { late: again.late, status: again.status, results: again.results })
  const text = `failed files alone: ${count(again.results, 'passed')} passed, ${still.length} failed`
  report.say(`${text}${again.late ? ', time limit' : ''}`)
  sayFailures(report, still)
  return false
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
  if (!(await tryCard(session))) return false
  const demo = await runDemo(session)
  return (await runVitest(session)) && demo
}
