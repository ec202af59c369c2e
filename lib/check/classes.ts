import type { Dataset } from '../data/dataset.js'
import { longestName, printable } from '../table.js'
import type { Finding } from './findings.js'

/** Number of images of one class. */
export interface ClassCount {
  /** Name of the class. */
  readonly name: string
  /** Number of training images. */
  readonly training: number
  /** Number of validation images; undefined without validation data. */
  readonly validation: number | undefined
}

/** Distribution of the images over the classes. */
export interface ClassReport {
  /** Every class, in order. */
  readonly classes: readonly ClassCount[]
  /** Names of classes without a training image. */
  readonly empty: readonly string[]
  /** Share of the largest class, from 0 to 1: the accuracy of always predicting it. */
  readonly majorityShare: number
  /** Size of the largest class divided by that of the smallest that is not empty. */
  readonly ratio: number
  /** Problems found. */
  readonly findings: readonly Finding[]
}

/** Ratio of class sizes from which training hardly sees the small classes. */
const unbalanced = 10

function countsOf({ labels, classNames }: Dataset): number[] {
  const counts = classNames.map(() => 0)
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1
  return counts
}

/** Names for a sentence, at most five of them. */
function named(names: readonly string[]): string {
  const first = names.slice(0, 5).map((name) => printable(name, longestName.class))
  return names.length > 5 ? `${first.join(', ')} and ${names.length - 5} more` : first.join(', ')
}

/** Counts the images of each class in both parts. */
export function classesOf(training: Dataset, validation: Dataset | undefined): ClassReport {
  const counts = countsOf(training)
  const held = validation && countsOf(validation)
  const classes = training.classNames.map((name, index): ClassCount => {
    return { name, training: counts[index] ?? 0, validation: held && (held[index] ?? 0) }
  })
  const present = classes.filter((one) => one.training > 0)
  const sizes = present.map((one) => one.training)
  const largest = Math.max(...sizes)
  const report = {
    classes,
    empty: classes.filter((one) => one.training === 0).map(({ name }) => name),
    majorityShare: largest / training.count,
    ratio: largest / Math.min(...sizes),
  }
  return {
    ...report,
    findings: [...trainingFindings(report, present), ...validationFindings(training, validation, classes)],
  }
}

function trainingFindings(
  { empty, majorityShare, ratio }: Omit<ClassReport, 'findings'>,
  present: readonly ClassCount[],
): Finding[] {
  const findings: Finding[] = []
  if (present.length < 2) {
    const text = `all training images are of the class ${named([present[0]?.name ?? ''])}: there is nothing to learn`
    findings.push({ severity: 'fatal', text })
  }
  if (empty.length > 0) findings.push({ severity: 'warning', text: `no training image of ${named(empty)}` })
  if (ratio < unbalanced) return findings
  const share = `${Math.round(100 * majorityShare)} %`
  const text = `the largest class has ${Math.round(ratio)} times the images of the smallest; always predicting it would reach an accuracy of ${share}, so check the per-class accuracy`
  return [...findings, { severity: 'warning', text }]
}

function validationFindings(
  training: Dataset,
  validation: Dataset | undefined,
  classes: readonly ClassCount[],
): Finding[] {
  if (validation === undefined) return []
  const differing = validation.classNames.findIndex((name, index) => name !== training.classNames[index])
  if (differing !== -1) {
    const own = training.classNames[differing]
    const text = `class ${differing} is ${validation.classNames[differing]} in the validation data and ${own} in the training data`
    return [{ severity: 'fatal', text }]
  }
  const missing = classes.filter((one) => one.training > 0 && one.validation === 0).map(({ name }) => name)
  return missing.length === 0 ? [] : [{ severity: 'warning', text: `no validation image of ${named(missing)}` }]
}
