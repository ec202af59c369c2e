import pc from 'picocolors'
import { VggError } from '../../error.js'
import { WheelProblem } from '../../platform/wheels/problem.mjs'

/** Work on wheels, whose problems become errors of vggnet; what pip said goes to stderr before. */
export async function withWheels<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError')
      throw new VggError('ABORTED', 'the work on wheels was aborted', { cause: error })
    if (!(error instanceof WheelProblem)) throw error
    const colours = pc.createColors(pc.isColorSupported && process.stderr.isTTY)
    if (error.log !== '') console.error(colours.dim(error.log.trimEnd()))
    throw new VggError(error.code, error.message, { cause: error })
  }
}
