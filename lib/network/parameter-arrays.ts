import { type Layer, type Parameter, parametersOf } from '../layer.js'
import type { NativeNetwork, ParameterArray } from '../platform/native.js'
import type { Tensor } from '../tensor.js'
import { parameterNamed, tensorOf, valuesFor } from './arguments.js'
import type { CallQueue } from './call-queue.js'

/** The arrays of a network: its parameters, their gradients and their momentum buffers. */
export class ParameterArrays {
  /** Names and shapes of all weights and biases, in the order of the layers. */
  readonly parameters: readonly Parameter[]
  readonly #calls: CallQueue

  /** @internal */
  constructor(calls: CallQueue, layers: readonly Layer[]) {
    this.parameters = parametersOf(layers)
    this.#calls = calls
  }

  /**
   * Returns a copy of the gradient of a parameter from the last `backward`, in its shape: [o, i, h, w] for a convolution.
   * @throws STATE if gradients are not valid (see `backward`) or the layer is frozen
   */
  async gradient(name: string): Promise<Tensor<'float32'>> {
    return this.#read('gradient', name)
  }

  /** Returns a copy of a parameter: 'conv1_1.weight' [64, 3, 3, 3], 'fc6.bias' [4096]. */
  async parameter(name: string): Promise<Tensor<'float32'>> {
    return this.#read('parameter', name)
  }

  /** Replaces a parameter by a copy of `values` of the same shape. The momentum buffer is not changed. */
  async setParameter(name: string, values: Tensor<'float32'>): Promise<void> {
    const copied = valuesFor(parameterNamed(name, this.parameters), values)
    await this.inTurn((native) => native.write('parameter', name, 0, copied))
  }

  /** @internal Makes a native call in its turn. What it is given stays as it is until the promise is settled. */
  inTurn<R>(call: (native: NativeNetwork) => Promise<R>): Promise<R> {
    return this.#calls.call(undefined, call)
  }

  /** Returns a copy of the momentum buffer of a parameter, v of `update`; 0 before the first update. */
  async velocity(name: string): Promise<Tensor<'float32'>> {
    return this.#read('velocity', name)
  }

  /** Replaces the momentum buffer of a parameter by a copy of `values` of the same shape. */
  async setVelocity(name: string, values: Tensor<'float32'>): Promise<void> {
    const copied = valuesFor(parameterNamed(name, this.parameters), values)
    await this.inTurn((native) => native.write('velocity', name, 0, copied))
  }

  async #read(kind: ParameterArray, name: string): Promise<Tensor<'float32'>> {
    const found = parameterNamed(name, this.parameters)
    return tensorOf(await this.#calls.call(found.name, (native, of) => native.read(kind, of)))
  }
}
