import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { runLimited } from './command.mjs'
import { tryCard } from './tests.mjs'

// Runs `npm run bench` without npm. Its table is the report.
async function runStep({ root, report, secondsLeft }, words) {
  const json = report.file('found.json')
  const program = path.join(root, 'bench', 'step.ts')
  const limit = secondsLeft() - 40
  const all = ['--import', 'tsx', program, '--device', 'cuda', '--limit', limit.toFixed(0), '--json', json, ...words]
  const { status, output, late } = await runLimited(process.execPath, all, {
    seconds: secondsLeft() - 8,
    log: report.log,
    cwd: root,
  })
  report.say(output.trimEnd())
  if (late) report.say('(time limit)')
  if (existsSync(json)) report.add('cases', JSON.parse(readFileSync(json, 'utf8')))
  rmSync(json, { force: true })
  return status === 0
}

/** vggnet alone, and the time of each stage of a training step. */
export async function runBench(session) {
  const small = await tryCard(session)
  return (await runStep(session, ['--alone', '--stages'])) && small
}

/** Interleaved with PyTorch. */
export async function runBaselines(session) {
  const small = await tryCard(session)
  return (await runStep(session, [])) && small
}
