import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'

const running = new Set()

/** Ends what is running. */
export function endRunning() {
  for (const end of running) end('SIGKILL')
}

/** Ends a process group once this process has gone, however it went: a program that hangs would keep the GPU. */
function guard(group) {
  const child = spawn('sh', ['-c', 'read -r _; kill -s KILL -- "-$0"', String(group)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  child.on('error', () => undefined)
  child.unref()
  child.stdin.on('error', () => undefined)
  child.stdin.unref()
  return child
}

// A process that waits in a driver cannot be ended: it is abandoned.
const patience = { terminated: 2000, killed: 2000, closed: 1000 }

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
    const guarding = child.pid && guard(child.pid)
    let output = ''
    let late = false
    let timer
    const end = (signal) => {
      try {
        process.kill(-child.pid, signal)
      } catch {
        // it is gone already
      }
    }
    const settle = (status) => {
      clearTimeout(timer)
      if (!running.delete(end)) return
      guarding?.kill('SIGKILL')
      for (const stream of [child.stdout, child.stderr]) stream?.destroy()
      child.unref()
      const took = (performance.now() - start) / 1000
      appendFileSync(log, `[${took.toFixed(1)} s, ${late ? 'time limit' : status}]\n`)
      resolve({ status, output, seconds: took, late })
    }
    const afterwards = (milliseconds, work) => {
      clearTimeout(timer)
      timer = setTimeout(work, milliseconds)
    }
    running.add(end)
    afterwards(Math.max(1, seconds) * 1000, () => {
      late = true
      end('SIGTERM')
      afterwards(patience.terminated, () => {
        end('SIGKILL')
        afterwards(patience.killed, () => settle('does not end'))
      })
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
        appendFileSync(log, text)
      })
    }
    child.on('error', (error) => settle(error.message))
    child.on('exit', (status, signal) => {
      // what it started, and what keeps its output open
      end('SIGKILL')
      afterwards(patience.closed, () => settle(status ?? signal))
    })
    child.on('close', (status, signal) => settle(status ?? signal))
  })
}
