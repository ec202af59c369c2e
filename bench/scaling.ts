// What more threads bring: one thread and several, in turns.

import { messageOf } from '../lib/error.js'
import { interleaved, type Times } from '../lib/measure/interleaved.js'
import { type Ours, openOurs, type Run } from '../lib/measure/ours.js'
import { LoadWatch, mean } from '../lib/measure/processes.js'
import type { Case } from './cases.js'
import type { ScalingFound } from './report.js'

export interface ScalingSettings {
  readonly run: Run & { readonly threads: number }
  readonly rounds: number
  readonly milliseconds: number
}

/** What was found, also where it is an error. */
export async function measureScaling(one: Case, { run, rounds, milliseconds }: ScalingSettings): Promise<ScalingFound> {
  const { threads } = run
  const opened: Ours[] = []
  try {
    for (const count of [1, threads]) opened.push(await openOurs(one, { ...run, threads: count }, `${count} threads`))
    const watch = new LoadWatch()
    const watched = opened.map((ours) => watch.watched(ours))
    const found = await interleaved(watched, rounds, milliseconds)
    const [single, several] = opened.map(({ name }) => (found.get(name) as Times).medianMs) as [number, number]
    const perSecond = (time: number) => (1000 * one.batch) / time
    return {
      case: one,
      threads,
      imagesPerSecond: perSecond(several),
      oneThreadImagesPerSecond: perSecond(single),
      scaling: single / several,
      backgroundLoad: mean(watch.shares),
    }
  } catch (error) {
    return { case: one, threads, error: messageOf(error) }
  } finally {
    for (const { net } of opened) net.dispose()
  }
}
