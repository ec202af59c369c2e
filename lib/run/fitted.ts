import { meanOf } from '../data/mean.js'
import { type StatisticsOptions, statisticsOf } from '../data/statistics.js'
import { datasetsFor, shapeOf } from './datasets.js'
import type { RunDescription } from './description.js'
import type { Sources } from './sources.js'

/** Photographs at most that mean and colours are fitted on. */
const most = 10_000

/**
 * The same description with what is fitted on the training pictures filled in: their mean, and the axes of their
 * colours (Sect. 3.1). Reads nothing where that is there already, or comes with a model to start from.
 */
export async function fitted(
  description: RunDescription,
  sources: Sources,
  watch: Pick<StatisticsOptions, 'signal' | 'onProgress'> = {},
): Promise<RunDescription> {
  const { model, photographs, start, seed } = description
  if (start.from !== undefined) return description
  if (sources.kind === 'fixed') {
    // not of the border that pictures of one size are given
    return { ...description, model: { ...model, meanRgb: model.meanRgb ?? (await meanOf(sources.training)) } }
  }
  const shape = shapeOf(description, sources)
  const wanted = photographs.colour === true && shape.channels === 3
  if (model.meanRgb !== undefined && !wanted) return description
  const { training } = datasetsFor(sources, description, { ...shape, preprocessing: undefined })
  const { mean, colour } = await statisticsOf(training, { limit: most, seed, ...watch })
  return {
    ...description,
    photographs: { ...photographs, ...(wanted && colour && { colour }) },
    model: { ...model, meanRgb: model.meanRgb ?? mean },
  }
}
