// A case in a process of its own, started by processor.ts: it takes one `Task` and answers with what it found. So its peak of
// memory is its own, and the next case finds the machine as this one did.

import { measure } from './measure.js'
import type { Task } from './processor.js'
import { processorRivals } from './rivals.js'
import { measureScaling } from './scaling.js'

const start = performance.now()

async function found(task: Task) {
  const { kind, case: one, peers, seconds, ...settings } = task
  if (kind === 'scaling') return measureScaling(one, settings)
  return measure(one, {
    ...settings,
    rivalsOf: (of) => processorRivals(peers, settings.run.threads, of),
    prepareSeconds: 900,
    secondsLeft: () => (seconds ?? Number.POSITIVE_INFINITY) - (performance.now() - start) / 1000,
  })
}

// The one who asked is gone. An exit ends the peers too.
process.once('disconnect', () => process.exit(1))
process.once('message', async (task) => {
  const answer = await found(task as Task)
  process.send?.(answer, () => process.exit(0))
})
