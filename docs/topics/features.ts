/**
 * Features of data sets: tensors of a network pooled over space, scales and mirrored images; files of them; nearest images.
 * @module features
 */
export {
  type Aggregate,
  type EmbedData,
  type EmbeddedFile,
  type Embedding,
  type EmbedLikeOptions,
  type EmbedOptions,
  type EmbedProgress,
  type EmbedToFileOptions,
  embed,
  embedLike,
  embedToFile,
  type FeatureBlock,
  type FeatureColumns,
  type FeatureDescription,
  FeatureFile,
  type NearestOptions,
  type Neighbour,
  type Normalise,
  nearest,
  type Pool,
  type QueryFeatures,
  type Transform,
} from '../../lib/index.js'
