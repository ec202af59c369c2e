import { spawn } from 'node:child_process'

/**
 * Runs a program without a shell and without stdin.
 * @param {string} program
 * @param {readonly string[]} parameters
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, signal?: AbortSignal }} [options] `env`: beside the process's own
 * @returns {Promise<{ ok: boolean, output: string, stdout: string }>} `output` is stdout and stderr as they came
 */
export function run(program, parameters, { cwd, env, signal } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    })
    let output = ''
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text
    })
    child.on('error', (error) => resolve({ ok: false, output: output + error.message, stdout }))
    child.on('close', (status) => resolve({ ok: status === 0, output, stdout }))
  })
}
