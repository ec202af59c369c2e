import { isFolder } from '../../files/not-found.js'
import { parameterCount } from '../../layer.js'
import { type RunOptions, runChecks } from '../../network/open.js'
import { optional, readOptions, text } from '../../options.js'
import type { VggConfiguration } from '../../vgg/configuration.js'
import type { VGG } from '../../vgg/vgg.js'
import { ByteFile } from '../containers/byte-file.js'
import { isHubUri } from '../hub/uri.js'
import { type LoadOptions, load, loadHashed, openingChecks } from '../load.js'
import { type Difference, differenceOf } from './difference.js'
import { type Activity, fingerprintOf, fixedImage } from './fingerprint.js'
import { type Moments, momentsOf, zeroRows } from './moments.js'
import { otherFlattening, reversedChannels, untrained, wrongPixels } from './suspicions.js'

/** Options of `verify`: those of the device and of opening the source, and a second source. */
export interface VerifyOptions extends RunOptions, Pick<LoadOptions, 'source' | 'onProgress' | 'signal'> {
  /** Source of another network, with which the first is compared: as for `load`. Default: none. */
  against?: string | undefined
}

/** Figures of a parameter. */
export interface ParameterFigures extends Moments {
  /** 'conv1_1.weight', ... */
  readonly name: string
  /** Fraction of the outputs whose weights are all 0. */
  readonly zeroOutputs: number
}

/** What `verify` found out about weights. */
export interface Verification {
  /** Configuration of the network, with its pixels, and with the origin of its weights. */
  readonly configuration: VggConfiguration
  /** SHA-256 of the file in hex; undefined for a folder, and where only a part of a file was fetched. */
  readonly sha256: string | undefined
  /** Number of weights and biases. */
  readonly parameterCount: number
  /** Figures of each parameter. */
  readonly parameters: readonly ParameterFigures[]
  /** Activities of each layer on an image that is the same everywhere: equal weights have equal activities. */
  readonly fingerprint: readonly Activity[]
  /** What seems wrong, as sentences; empty if nothing does. */
  readonly suspicions: readonly string[]
  /** In what the network of `against` differs; undefined without `against`. */
  readonly difference: Difference | undefined
}

const checks = { ...runChecks, ...openingChecks, against: optional(text) }

/**
 * Loads weights and checks that they were read right: architecture, hash, figures of each parameter, and the activities of
 * each layer on a fixed image. Values that are not finite, dead layers, random initial weights, a reversed order of channels, a
 * wrong mean or scale and another order of the columns of fc6 are suspected. The suspicions on channels and pixels are
 * for weights of other programs with three channels.
 * @param source as for `load`
 * @throws the errors of `load`
 */
export async function verify(source: string, options: VerifyOptions = {}): Promise<Verification> {
  readOptions(options, 'verify options', checks)
  const { against, ...opening } = options
  const { net, sha256 } = await loadHashed(source, opening)
  try {
    const image = fixedImage(net.imageSize, net.channels)
    const parameters = await parametersOf(net)
    const fingerprint = await fingerprintOf(net, image)
    return {
      configuration: net.configuration,
      sha256: sha256 ?? (isHubUri(source) ? undefined : await hashOf(source)),
      parameterCount: parameterCount(net.layers),
      parameters,
      fingerprint,
      suspicions: await suspicionsOf(net, parameters, fingerprint),
      difference: against === undefined ? undefined : await comparedWith(net, against, opening),
    }
  } finally {
    net.dispose()
  }
}

async function comparedWith(net: VGG, against: string, { source: _, ...opening }: LoadOptions): Promise<Difference> {
  const other = await load(against, opening)
  try {
    return await differenceOf(net, other, fixedImage(net.imageSize, net.channels))
  } finally {
    other.dispose()
  }
}

/** The hash of a file of ours, which loading verifies by other checksums; undefined for a folder. */
const hashOf = async (path: string): Promise<string | undefined> =>
  (await isFolder(path)) ? undefined : ByteFile.read(path, hashed)

async function hashed(file: ByteFile): Promise<string> {
  const hash = await file.digest()
  await file.close()
  return hash
}

async function parametersOf(net: VGG): Promise<ParameterFigures[]> {
  const found: ParameterFigures[] = []
  for (const { name, shape } of net.parameters) {
    const values = await (await net.parameter(name)).data()
    found.push({ name, ...momentsOf(values), zeroOutputs: zeroRows(values, shape[0] ?? 1) })
  }
  return found
}

/** Fraction of channels that are 0 everywhere on the fixed image from which a layer counts as dead. */
const dead = 0.99

async function suspicionsOf(
  net: VGG,
  parameters: readonly ParameterFigures[],
  fingerprint: readonly Activity[],
): Promise<string[]> {
  const values = async (name: string): Promise<Float32Array> => (await net.parameter(name)).data()
  const infinite = fingerprint.find(({ notFinite }) => notFinite > 0)
  const silent = fingerprint.find((layer) => layer.dead > dead)
  const first = { weight: await values('conv1_1.weight'), bias: await values('conv1_1.bias') }
  const isForeign = net.origin !== undefined && net.channels === 3
  const linear = net.layers.find((layer) => layer.kind === 'linear')
  const found = [
    infinite && `${infinite.name} has ${infinite.notFinite} values that are not finite on the fixed image`,
    silent && `${silent.name} is 0 in nearly all channels on the fixed image`,
    untrained(parameters),
    isForeign ? reversedChannels(first) : undefined,
    isForeign ? wrongPixels(first, net.configuration) : undefined,
    linear && otherFlattening({ weight: await values(`${linear.name}.weight`), ...linear }),
  ]
  return found.filter((suspicion) => suspicion !== undefined)
}
