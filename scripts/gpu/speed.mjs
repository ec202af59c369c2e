import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { runLimited } from './command.mjs'
import { tryCard } from './tests.mjs'

// npm run bench without npm: its own table is the report's.
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

/** This library alone, and where the time of a training step goes. */
export async function runBench(session) {
  return (await tryCard(session)) && (await runStep(session, ['--alone', '--stages']))
}

/** In turns with PyTorch. */
export async function runPeers(session) {
  return (await tryCard(session)) && (await runStep(session, []))
}
