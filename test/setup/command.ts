import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

/** What a process that has ended left. */
export interface Ended {
  /** The exit code; undefined where a signal ended it. */
  code: number | undefined
  stdout: string
  stderr: string
}

/** `vggnet`, from the root of the repository: compiled, because tsx would take a second of each start. */
export const commandLine = 'dist/cli/main.js'

/** A script, in TypeScript or JavaScript, as a process with its output in pipes. */
export function start(script: string, words: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const loader = script.endsWith('.ts') ? ['--import', 'tsx'] : []
  const child = spawn(process.execPath, [...loader, script, ...words], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? undefined, stdout, stderr }))
  })
  return { child, ended }
}

/** `vggnet` with these words, to its end. */
export function vggnet(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return start(commandLine, words, environment).ended
}

/** `vggnet` with these words, interrupted as by Ctrl-C a second after it has loaded the addon. */
export async function interrupted(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const { child, ended } = start(commandLine, words, environment)
  try {
    while (!readFileSync(`/proc/${child.pid}/maps`, 'utf8').includes('vggnet.node')) await delay(50)
    await delay(1000)
    child.kill('SIGINT')
    return await ended
  } finally {
    child.kill('SIGKILL')
  }
}
