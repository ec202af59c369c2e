export { run } from '../../lib/platform/wheels/python.mjs'

/** Prints the title of some work and its duration on stderr: `setup: oneDNN 3.1.0 ... done in 8 s`. */
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
