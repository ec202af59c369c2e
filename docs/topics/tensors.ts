/**
 * Tensors, and a generator of random numbers.
 * @module tensors
 */
export { type ArrayOf, type DType, Random, type RandomState, Tensor } from '../../lib/index.js'
