import type { PhotoSource } from '../data/images/decode.js'
import { type DecodingOptions, decodingChecks } from '../data/images/formats.js'
import { photoDataset } from '../data/sources/photo-dataset.js'
import { VggError } from '../error.js'
import { Network } from '../network/network.js'
import { arrayOf, instanceOf, optional, readOptions, unexpected } from '../options.js'
import { takenOf } from './columns.js'
import { type Embedding, embed } from './embed.js'
import { digestOfNetwork } from './embedder.js'
import type { FeatureDescription } from './feature-description.js'

/** Options of `embedLike`. */
export interface EmbedLikeOptions extends DecodingOptions {
  /** Aborts the call, which then rejects with ABORTED. */
  signal?: AbortSignal | undefined
}

const checks = { ...decodingChecks, signal: optional(instanceOf(AbortSignal)) }

/** The features of queries, without labels. */
export type QueryFeatures = Pick<Embedding, 'features' | 'names' | 'unreadable'>

/**
 * Computes features of images as those of a file were computed, for a search in it: by the same layers, scales and options.
 * Images that cannot be read are left out and reported.
 * @param net the network of the file
 * @param description that of the file, `FeatureFile.description`
 * @param images paths or bytes of image files
 * @throws HASH_MISMATCH for another network, and the errors of `embed`
 */
export async function embedLike(
  net: Network,
  description: FeatureDescription,
  images: readonly PhotoSource[],
  options?: EmbedLikeOptions,
): Promise<QueryFeatures> {
  const { signal, ...decoding } = readOptions(options, 'embedLike options', checks)
  const sources = arrayOf((image) => image as PhotoSource)(images, 'images')
  if (sources.length === 0) throw unexpected('at least one image', 'images', images)
  await checkNetwork(instanceOf(Network)(net, 'net'), description)
  const { layers, pool, transform, scales, aggregate, flip, normalise, pixels } = description
  const reading = { ...decoding, onUnreadable: 'skip' } as const
  const features = { layers, pool, transform, aggregate, flip, normalise, signal }
  if (scales !== null) return embed(net, sources, { ...features, ...reading, scales })
  const [height = 0, width = 0] = pixels.crop ?? []
  const channels = pixels.channels === 1 ? 1 : 3
  // images that were no files had their whole content in the crop
  const smallestSide = pixels.smallestSide ?? Math.max(height, width)
  const named = sources.map((source, index) => (typeof source === 'string' ? source : `images[${index}]`))
  const list = { sources, names: named, labels: new Int32Array(sources.length), classNames: [''] }
  const data = photoDataset(list, { ...reading, crop: [height, width], smallestSide, channels })
  return embed(net, data, features)
}

/** @throws HASH_MISMATCH if the network is not that of the features */
async function checkNetwork(net: Network, { model, ...asked }: FeatureDescription): Promise<void> {
  // of the shapes nothing is needed
  const large = { height: 65535, width: 65535 }
  const { layers } = takenOf(net.layers, asked, large, false)
  const sha256 = await digestOfNetwork(net, layers)
  if (sha256 === model.sha256) return
  const of = model.path === null ? 'that of the features' : model.path
  const message = `Expected the network of the features, ${of}, whose layers and parameters have the hash ${model.sha256}, but this one has ${sha256}: give the model that they were computed with, or compute them again`
  throw new VggError('HASH_MISMATCH', message)
}
