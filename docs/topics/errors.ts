/**
 * The class of all errors, and its codes.
 * @module errors
 */
export { type ErrorCode, VggError } from '../../lib/index.js'
