/**
 * The one class of error, and its codes.
 * @module errors
 */
export { type ErrorCode, VggError } from '../../lib/index.js'
