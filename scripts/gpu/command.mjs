import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'

/**
 * Runs a program in a process group of its own, which is ended as a whole when its time is up.
 * @param {string} program
 * @param {string[]} words
 * @param {{ seconds: number, log: string, env?: Record<string, string>, cwd?: string }} how `log`: a file to add its output to
 * @returns {Promise<{ status: number | string, output: string, seconds: number, late: boolean }>}
 */
export function runLimited(program, words, { seconds, log, env, cwd }) {
  const start = performance.now()
  appendFileSync(log, `\n$ ${[program, ...words].join(' ')}   (at most ${seconds.toFixed(0)} s)\n`)
  return new Promise((resolve) => {
    const child = spawn(program, words, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let output = ''
    let late = false
    const end = (signal) => {
      try {
        process.kill(-child.pid, signal)
      } catch {
        // it is gone already
      }
    }
    const timer = setTimeout(() => {
      late = true
      end('SIGTERM')
      setTimeout(() => end('SIGKILL'), 5000).unref()
    }, Math.max(1, seconds) * 1000)
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
        appendFileSync(log, text)
      })
    }
    const settle = (status) => {
      clearTimeout(timer)
      const took = (performance.now() - start) / 1000
      appendFileSync(log, `[${took.toFixed(1)} s, ${late ? 'time limit' : status}]\n`)
      resolve({ status, output, seconds: took, late })
    }
    child.on('error', (error) => settle(error.message))
    child.on('close', (status, signal) => settle(status ?? signal))
  })
}
