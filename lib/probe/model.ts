import { type Contents, decode, encode, type NamedTensor, textLimits } from '../checkpoint/safetensors.js'
import { fileError } from '../data/sources/file-error.js'
import { messageOf, VggError } from '../error.js'
import { writeAtomically } from '../files/atomic-file.js'
import { readRegularFile } from '../files/regular-file.js'
import { floatsOf } from '../network/arguments.js'
import { arrayOf, filePath, integer, oneOf, positive, readOptions, text } from '../options.js'
import { elementCount, shapeText, Tensor, valuesOf } from '../tensor.js'
import { parsedJson } from '../untrusted.js'
import { plainOf, scoresOf } from './fit.js'
import { type Classifier, classifiers } from './loss.js'
import { type Moments, rowBlocks, type UsedRows } from './rows.js'

/** A linear classifier of features: scores = (features - mean) / deviation * weight^T + bias. */
export interface ProbeModel {
  /** What was minimised. */
  readonly classifier: Classifier
  /** The factor of the losses beside the penalty |weight|^2 / 2, as scikit-learn's C. */
  readonly c: number
  /** The classes. */
  readonly classNames: readonly string[]
  /** float32 [classes, columns]. With two classes, the rows are opposite. */
  readonly weight: Tensor<'float32'>
  /** float32 [classes]. */
  readonly bias: Tensor<'float32'>
  /** float32 [columns]; 0 for features that are not standardised. */
  readonly mean: Tensor<'float32'>
  /** float32 [columns]; 1 for features that are not standardised. */
  readonly deviation: Tensor<'float32'>
}

/**
 * The model of coefficients of a fit. For two classes these are one row, which logistic regression halves: the softmax of the
 * scores is then its probability.
 */
export function modelOf(
  coefficients: Float64Array,
  { mean, deviation }: Moments,
  given: Pick<ProbeModel, 'classifier' | 'c' | 'classNames'>,
): ProbeModel {
  const [classes, columns] = [given.classNames.length, mean.length]
  const outputs = coefficients.length / (columns + 1)
  const factor = given.classifier === 'logistic' ? 0.5 : 1
  const rowsOf = (part: Float64Array): Float32Array =>
    outputs === 1
      ? Float32Array.from([...part.map((value) => -factor * value), ...part.map((value) => factor * value)])
      : Float32Array.from(part)
  const split = outputs * columns
  return {
    ...given,
    weight: Tensor.from(rowsOf(coefficients.subarray(0, split)), [classes, columns]),
    bias: Tensor.from(rowsOf(coefficients.subarray(split)), [classes]),
    mean: Tensor.from(Float32Array.from(mean), [columns]),
    deviation: Tensor.from(Float32Array.from(deviation), [columns]),
  }
}

/** The scores of some rows by a model, float32 [rows, classes]. */
export async function modelScores(model: ProbeModel, data: UsedRows, rows: Int32Array): Promise<Float32Array> {
  const [mean, deviation] = [model.mean, model.deviation].map((tensor) => Float64Array.from(valuesOf(tensor)))
  const [weight, bias] = [valuesOf(model.weight), valuesOf(model.bias)]
  const coefficients = new Float64Array(weight.length + bias.length)
  coefficients.set(weight)
  coefficients.set(bias, weight.length)
  const plain = plainOf(coefficients, { mean, deviation } as Moments)
  return Float32Array.from(await scoresOf(data, rows, plain))
}

const names = ['weight', 'bias', 'mean', 'deviation'] as const

/** Key of the metadata of a file, a JSON text. */
const key = 'vggnet_probe'
const version = 1
/** Most bytes of a file. */
const mostBytes = 2 ** 31

/**
 * Saves a linear classifier as a safetensors file with the tensors `weight`, `bias`, `mean` and `deviation`, atomically.
 * @throws FILE_WRITE
 */
export async function saveProbe(file: string, model: ProbeModel): Promise<void> {
  filePath(file, 'file')
  const tensors = names.map((name): NamedTensor => {
    const { data, shape } = floatsOf(model[name], name)
    return { name, dtype: 'F32', shape, data }
  })
  const { classifier, c, classNames } = model
  const description = JSON.stringify({ version, classifier, c, classNames })
  await writeAtomically(file, [encode(tensors, { [key]: description })])
}

const descriptionChecks = {
  version: integer(version, version),
  classifier: oneOf(...classifiers),
  c: positive,
  classNames: arrayOf(text),
}

/** Loads a linear classifier that `saveProbe` wrote. @throws FILE_NOT_FOUND, FILE_FORMAT */
export async function loadProbe(file: string): Promise<ProbeModel> {
  filePath(file, 'file')
  try {
    return modelFrom(decode(await readRegularFile(file, mostBytes)))
  } catch (error) {
    throw fileError(error, file)
  }
}

/** @throws FILE_FORMAT */
function modelFrom({ tensors, metadata }: Contents<NamedTensor>): ProbeModel {
  const description = metadata[key]
  if (description === undefined)
    throw new VggError('FILE_FORMAT', `Expected a linear classifier that vggnet saved, but there is no ${key}`)
  const { version: _, ...given } = checkedDescription(description)
  const columns = tensors.find(({ name }) => name === 'mean')?.shape[0] ?? 0
  const classes = given.classNames.length
  const shapes = { weight: [classes, columns], bias: [classes], mean: [columns], deviation: [columns] }
  const tensorOf = (name: (typeof names)[number]): Tensor<'float32'> => {
    const found = tensors.find((one) => one.name === name)
    const expected = shapeText(shapes[name])
    if (found?.data instanceof Float32Array && shapeText(found.shape) === expected)
      return Tensor.from(found.data, found.shape)
    const received = found === undefined ? 'none' : `${found.dtype} ${shapeText(found.shape)}`
    throw new VggError('FILE_FORMAT', `Expected F32 ${expected} for ${name} but found ${received}`)
  }
  return {
    ...given,
    weight: tensorOf('weight'),
    bias: tensorOf('bias'),
    mean: tensorOf('mean'),
    deviation: tensorOf('deviation'),
  }
}

function checkedDescription(json: string) {
  try {
    return readOptions(parsedJson(json, textLimits, key), key, descriptionChecks)
  } catch (cause) {
    throw new VggError('FILE_FORMAT', `The description of the classifier is not valid: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Computes the scores of features by a linear classifier; the class with the highest score is the answer, and the softmax of the
 * scores of logistic regression is its probability. Computes off the event loop.
 * @param features float32 [n, ...] of as many columns as the classifier was fitted to
 * @returns float32 [n, classes]
 * @throws INVALID_ARGUMENT, SHAPE_MISMATCH
 */
export async function probeScores(model: ProbeModel, features: Tensor): Promise<Tensor<'float32'>> {
  const { data, shape } = floatsOf(features, 'features')
  const [count = 0] = shape
  const columns = elementCount(model.mean.shape)
  if (count === 0 || shape.length < 2 || elementCount(shape.slice(1)) !== columns) {
    const message = `Expected features [n, ${columns}] but received shape ${shapeText(shape)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const classes = model.classNames.length
  const scores = new Float32Array(count * classes)
  const rows = Int32Array.from({ length: count }, (_, row) => row)
  for (const block of rowBlocks({ features: data, columns, rows }))
    scores.set(await modelScores(model, { features: data, columns, rows }, block), (block[0] ?? 0) * classes)
  return Tensor.from(scores, [count, classes])
}
