import { existsSync } from 'node:fs'
import path from 'node:path'
import { unpackedFolder } from './carried.mjs'
import { runLimited } from './command.mjs'

// What each may take: those that watch shared memory slow a kernel the most.
const tools = [
  { name: 'memcheck', share: 0.3, words: ['--leak-check', 'no'] },
  { name: 'synccheck', share: 0.15, words: [] },
  { name: 'initcheck', share: 0.25, words: [] },
  // cuDNN's own kernels synchronise in ways that racecheck does not know
  { name: 'racecheck', share: 0.3, words: ['--kernel-name', 'kns=vggnet'] },
]
const errorStatus = 86

/** clean, errors, refused (in words), time limit or failed */
function verdict({ status, output, late }) {
  const summary = /(?:ERROR|RACECHECK) SUMMARY: .*/.exec(output)?.[0]
  const refusal =
    /Device not supported|LibraryNotLoaded|not supported on|Unable to find injection|No attachable process/
  if (refusal.test(output)) return { verdict: 'refused', said: refusal.exec(output)?.[0] }
  if (late) return { verdict: 'time limit', said: summary ?? 'no error until then' }
  if (status === 0) return { verdict: 'clean', said: summary ?? '' }
  if (status === errorStatus) return { verdict: 'errors', said: summary ?? '' }
  return { verdict: 'failed', said: `exit ${status}: ${output.trimEnd().split('\n').at(-1)}` }
}

/** Chooses the plans of the wide net, that the tools need not watch it. */
async function choosePlans({ root, report, secondsLeft }, program, env) {
  const how = { seconds: 0.4 * secondsLeft(), log: report.log, cwd: root, env }
  const { status, seconds, late, output } = await runLimited(process.execPath, program, how)
  const ok = status === 0
  report.add('plans', { ok, seconds, output: output.slice(-3000) })
  report.say(`plans: ${ok ? 'chosen' : late ? 'time limit' : `FAILED (${status})`}, ${seconds.toFixed(0)} s`)
  return ok
}

/** compute-sanitizer's four tools on a small net whose plans were chosen before. */
export async function runSanitize(session) {
  const { root, report, secondsLeft } = session
  const positions = (process.env.PATH ?? '')
    .split(path.delimiter)
    .map((folder) => path.join(folder, 'compute-sanitizer'))
  const sanitizer = positions.find((file) => existsSync(file))
  if (!sanitizer) {
    report.say('sanitize: skipped, this machine has no compute-sanitizer')
    report.add('sanitizer', { verdict: 'skipped' })
    return true
  }
  const program = [path.join(root, 'scripts', 'gpu', 'small-net.mjs'), 'wide']
  // any right plan will do, and they are not to be used for speed
  const env = { VGGNET_CUDA_PLANS: '1', VGGNET_CACHE: path.join(unpackedFolder(root), 'sanitize') }
  let ok = await choosePlans(session, program, env)
  const budget = secondsLeft() - 10
  for (const { name, share, words } of tools) {
    const watched = ['--tool', name, '--error-exitcode', String(errorStatus), '--print-limit', '20', ...words]
    const how = { seconds: Math.min(secondsLeft() - 5, share * budget), log: report.log, cwd: root, env }
    const ended = await runLimited(sanitizer, [...watched, process.execPath, ...program], how)
    const found = verdict(ended)
    const errors = ended.output.split('\n').filter((line) => line.startsWith('========='))
    report.add(name, { ...found, seconds: ended.seconds, output: errors.slice(0, 120).join('\n') })
    report.say(
      `${name}: ${found.verdict === 'refused' ? 'skipped, the machine refuses it' : found.verdict}; ${found.said}`,
    )
    if (found.verdict === 'errors' || found.verdict === 'failed') {
      ok = false
      report.say(
        errors
          .slice(0, 12)
          .map((line) => `    ${line}`)
          .join('\n'),
      )
    }
  }
  return ok
}
