import { meanOf, type StatisticsOptions, statisticsOf } from '../data/statistics.js'
import { datasetsFor, shapeOf } from './datasets.js'
import type { RunDescription } from './description.js'
import type { Sources } from './sources.js'

/** Images at most that mean and colours are fitted on. */
const most = 10_000

/**
 * The same description with what is fitted on the training images filled in: their mean, as they come to the network
 * before any random augmentation, and the axes of their colours (Sect. 3.1). Reads nothing where both are there already,
 * or come with a model to start from.
 */
export async function fitted(
  description: RunDescription,
  sources: Sources,
  watch: Pick<StatisticsOptions, 'signal' | 'onProgress'> = {},
): Promise<RunDescription> {
  const { model, photographs, start, seed } = description
  if (start.from !== undefined) return description
  const shape = shapeOf(description, sources)
  const wanted = sources.kind === 'files' && photographs.colour === true && shape.channels === 3
  if (model.meanRgb !== undefined && !wanted) return description
  // as the network sees them: images of one size with the border that they are given
  const { training } = datasetsFor(sources, description, { ...shape, preprocessing: undefined })
  if (sources.kind === 'fixed') return { ...description, model: { ...model, meanRgb: await meanOf(training) } }
  const { mean, colour } = await statisticsOf(training, { limit: most, seed, ...watch })
  return {
    ...description,
    photographs: { ...photographs, ...(wanted && colour && { colour }) },
    model: { ...model, meanRgb: model.meanRgb ?? mean },
  }
}
