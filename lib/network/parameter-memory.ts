import { VggError } from '../error.js'
import { type Layer, parameterCount, parametersOf } from '../layer.js'
import { availableMainMemory } from '../main-memory.js'
import { bytesText } from '../table.js'
import { shapeText } from '../tensor.js'

/** Bytes of the parameters of these layers, which are float32. */
export const parameterBytes = (layers: readonly Layer[]): number => 4 * parameterCount(layers)

/**
 * Creates the error for parameters that do not fit into memory. It names the largest of them.
 * @param room the reason, such as `only 3 bytes are available`
 */
export function parametersTooLarge(layers: readonly Layer[], room: string, cause?: unknown): VggError {
  const [largest] = parametersOf(layers).sort((a, b) => b.count - a.count)
  const bytes = parameterBytes(layers)
  const share = `the largest, ${largest?.name} ${shapeText(largest?.shape ?? [])}, ${bytesText(4 * (largest?.count ?? 0))}`
  const message = `The parameters take ${bytes} bytes (${bytesText(bytes)}; ${share}), but ${room}: use fewer classes, narrower layers or smaller images`
  return new VggError('OUT_OF_MEMORY', message, { cause })
}

/** Bytes of the largest parameter that is planned for, on any device: of 2^48 elements. */
const mostPlanned = 2 ** 50

/** An error of opening a network: one that is about the sizes of the parameters names their bytes. */
export function withParameterSizes(error: unknown, layers: readonly Layer[]): unknown {
  if (!(error instanceof VggError)) return error
  const bytes = parameterBytes(layers)
  if (error.code === 'INVALID_ARGUMENT' && bytes > mostPlanned)
    return new VggError(error.code, `${error.message}; the parameters would take ${bytesText(bytes)}`, { cause: error })
  if (error.code !== 'OUT_OF_MEMORY') return error
  return parametersTooLarge(layers, error.message.replace(/^cannot allocate \d+ bytes: /, ''), error)
}

/** Checks parameters against the main memory of this machine. @throws OUT_OF_MEMORY */
export function checkMainMemory(layers: readonly Layer[]): void {
  const available = availableMainMemory()
  if (parameterBytes(layers) > available) throw parametersTooLarge(layers, `only ${bytesText(available)} are available`)
}
