/**
 * Numbers with a shape, and the generator of random ones.
 * @module tensors
 */
export { type ArrayOf, type DType, Random, type RandomState, Tensor } from '../../lib/index.js'
