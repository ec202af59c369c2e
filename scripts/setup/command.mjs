import { spawn } from 'node:child_process'

/**
 * Runs a program without a shell and without stdin.
 * @returns {Promise<{ ok: boolean, output: string, stdout: string }>} `output` is stdout and stderr as they came
 */
export function run(program, parameters, { cwd, env } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
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

/** Says on stderr what is being done, and how long it took: `setup: oneDNN 3.1.0 ... done in 8 s`. */
export async function announce(title, work) {
  const started = performance.now()
  process.stderr.write(`setup: ${title} ... `)
  try {
    const result = await work()
    process.stderr.write(`done in ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
    return result
  } catch (error) {
    process.stderr.write('failed\n')
    throw error
  }
}
