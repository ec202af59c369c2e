import type { SkippedImage } from '../data/batch.js'
import { throwIfAborted, VggError, withEnd } from '../error.js'
import { exists } from '../files/not-found.js'
import { Network } from '../network/network.js'
import { filePath, instanceOf, optional, readOptions, text, unexpected } from '../options.js'
import { native } from '../platform/native.js'
import { digestOf } from '../train/fingerprint.js'
import { type EmbedData, sourceFor } from './embed.js'
import { Embedder, type Part } from './embedder.js'
import { FeatureFile, writeFeatures } from './feature-file.js'
import type { ImageSource } from './image-source.js'
import { type EmbedOptions, type EmbedSettings, embedChecks, readEmbedOptions } from './options.js'
import { PartFolder } from './parts.js'

/** Options of `embedToFile`. */
export interface EmbedToFileOptions extends EmbedOptions {
  /** Where the network was loaded from, which the file records, so that `vggnet nearest` finds it. Default: not recorded. */
  model?: string | undefined
}

/** What `embedToFile` did. */
export interface EmbeddedFile {
  /** Number N of images in the file. */
  readonly images: number
  /** Number of images whose features an earlier call had computed. */
  readonly resumed: number
  /** Values of an image: D, or S x D where scales are stacked. */
  readonly rowLength: number
  /** The images that could not be read and are not in the file; `index` is their index in the data. */
  readonly unreadable: readonly SkippedImage[]
}

/**
 * Computes features as `embed` does, and writes them into a file. Memory does not depend on the number of images, but for their
 * names. Finished parts are kept in the folder `FILE.parts` until the file is written: if the process ends before, the same call
 * continues there, and the file has the same bytes as without the interruption.
 * @param file safetensors file to write; one that `embedToFile` wrote is replaced
 * @throws those of `embed`; RESUME_MISMATCH if FILE.parts was computed with other options, another network or other images: the
 *   message lists the differences. Image files that were changed meanwhile are computed again. FILE_WRITE, also if another file is
 *   there; FOLDER_IN_USE
 */
export async function embedToFile(
  net: Network,
  data: EmbedData,
  file: string,
  options: EmbedToFileOptions = {},
): Promise<EmbeddedFile> {
  const checks = { ...embedChecks, model: optional(text) }
  const { model = null } = readOptions(options, 'embedToFile options', checks)
  const { model: _, ...asked } = options
  const settings = readEmbedOptions(instanceOf(Network)(net, 'net'), asked)
  const source = sourceFor(net, data, settings)
  const files = 'sources' in data ? data.sources : Array.isArray(data) ? data : []
  const callable = files.findIndex((one) => typeof one === 'function')
  if (callable >= 0) throw unexpected('a path or bytes', `sources[${callable}]`, files[callable])
  return embedSources(net, [source], filePath(file, 'file'), { settings, model })
}

/** How sources are written to a file. */
export interface SourcesToFile {
  readonly settings: EmbedSettings
  /** Where the network was loaded from, if that is known. */
  readonly model: string | null
  /** Called when the file is written, and before the finished parts are removed. */
  readonly onWritten?: () => Promise<void>
}

/** Computes the features of sources one after the other, as `embedToFile` does. */
export async function embedSources(
  net: Network,
  sources: readonly ImageSource[],
  file: string,
  { settings, model, onWritten }: SourcesToFile,
): Promise<EmbeddedFile> {
  await checkOwn(file)
  const embedder = new Embedder(net, sources, settings)
  const description = await embedder.describe(model)
  const { columns: _, ...described } = description
  const images = sources.map(({ count, labels, nameOf }) => ({ count, digest: digestOf({ labels, nameOf }) }))
  const { buildId } = native().buildInfo()
  const facts = { ...described, images: Object.assign({}, images), ...embedder.conditions, buildId }
  const folder = await PartFolder.open(file, facts)
  const work = async (): Promise<EmbeddedFile> => {
    const made = await finished(embedder, folder, settings)
    const { parts, rowLength } = embedder
    async function* rows(): AsyncGenerator<Float32Array> {
      for (const [number, part] of parts.entries()) {
        throwIfAborted(settings.signal, 'The embedding')
        yield await folder.rows(number, part, rowLength)
      }
    }
    await writeFeatures(file, { description, labels: Int32Array.from(made.labels), names: made.names, rows: rows() })
    await onWritten?.()
    await folder.remove()
    return { images: made.names.length, resumed: made.resumed, rowLength, unreadable: made.unreadable }
  }
  return withEnd(work, () => folder.close())
}

/** @throws FILE_WRITE for a file that is none of features */
async function checkOwn(file: string): Promise<void> {
  if (!(await exists(file))) return
  const features = await FeatureFile.open(file).catch((cause) => {
    const message = `Expected no file at ${file} but one of features: remove it, or choose another name`
    throw new VggError('FILE_WRITE', message, { cause })
  })
  await features.close()
}

interface Finished {
  readonly names: string[]
  readonly labels: number[]
  readonly unreadable: SkippedImage[]
  resumed: number
}

/** Computes the parts that are not finished. */
async function finished(embedder: Embedder, folder: PartFolder, settings: EmbedSettings): Promise<Finished> {
  const { parts, rowLength, count } = embedder
  const made: Finished = { names: [], labels: [], unreadable: [], resumed: 0 }
  const add = (part: Part, indices: Int32Array): void => {
    for (const index of indices) {
      made.names.push(part.source.nameOf(index))
      made.labels.push(part.source.labels[index] ?? -1)
    }
  }
  for (const [number, part] of parts.entries()) {
    throwIfAborted(settings.signal, 'The embedding')
    const found = await folder.read(number, part, rowLength)
    // reading the images again reports those that cannot be read
    const known = settings.onUnreadable === 'throw' && found?.unreadable.length ? undefined : found
    if (known !== undefined) made.resumed += part.count
    const { indices, unreadable } = known ?? (await folder.write(number, part, () => embedder.compute(part)))
    add(part, indices)
    made.unreadable.push(...unreadable)
    await settings.onProgress?.({ done: part.before + part.first + part.count, of: count })
  }
  return made
}
