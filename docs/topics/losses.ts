/**
 * Losses of images and of values inside a network, with gradients: perceptual, Gram matrices, total variation, LPIPS.
 * @module losses
 */
export {
  type FeatureLossOptions,
  gramError,
  gramLoss,
  gramMatrices,
  type Loss,
  type LossOptions,
  Lpips,
  type LpipsDistance,
  type LpipsOptions,
  perceptualLoss,
  type Reference,
  squaredError,
  totalVariation,
} from '../../lib/index.js'
