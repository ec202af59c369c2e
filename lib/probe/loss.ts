/** A linear classifier: logistic regression, or a support vector machine with squared hinge loss, each class against the others. */
export type Classifier = 'logistic' | 'svm'

/** Names of the linear classifiers. */
export const classifiers: readonly Classifier[] = ['logistic', 'svm']

/**
 * The loss of a row from its scores, which are replaced by the gradient with respect to them.
 * @param scores one for each class; for two classes one score, which is high for class 1
 */
export type RowLoss = (scores: Float64Array, label: number) => number

/** log(1 + exp(x)) */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/** Cross-entropy of the sigmoid of one score. */
function binaryLogistic(scores: Float64Array, label: number): number {
  const [score = 0] = scores
  const sign = label === 1 ? 1 : -1
  scores[0] = -sign / (1 + Math.exp(sign * score))
  return softplus(-sign * score)
}

/** Cross-entropy of the softmax of the scores. */
function multinomialLogistic(scores: Float64Array, label: number): number {
  const own = scores[label] ?? 0
  let largest = Number.NEGATIVE_INFINITY
  for (const score of scores) largest = Math.max(largest, score)
  let sum = 0
  for (const score of scores) sum += Math.exp(score - largest)
  for (let index = 0; index < scores.length; index++) {
    const probability = Math.exp((scores[index] ?? 0) - largest) / sum
    scores[index] = index === label ? probability - 1 : probability
  }
  return largest + Math.log(sum) - own
}

/** The sum over scores of max(0, 1 - y score)^2, y = 1 for the own class and -1 for the others. */
function squaredHinge(scores: Float64Array, label: number): number {
  let loss = 0
  const own = scores.length === 1 ? label - 1 : label
  for (let index = 0; index < scores.length; index++) {
    const sign = index === own ? 1 : -1
    const margin = Math.max(0, 1 - sign * (scores[index] ?? 0))
    loss += margin * margin
    scores[index] = -2 * sign * margin
  }
  return loss
}

/** The loss of a classifier with so many outputs. */
export const lossOf = (classifier: Classifier, outputs: number): RowLoss =>
  classifier === 'svm' ? squaredHinge : outputs === 1 ? binaryLogistic : multinomialLogistic
