import { type ClassResult, cellsOf, forEachCell } from '../../evaluate/confusion.js'
import { type Column, columnsOf, longestName, printable, tableLines } from '../../table.js'
import { percent } from '../../train/log.js'

/** Results of classes and their confusion matrix. */
interface Confusion {
  readonly perClass: readonly ClassResult[]
  readonly confusion: readonly (readonly number[])[]
}

/** Most classes for which the confusion matrix is printed. */
const widest = 12

/** Longest name of a class above the confusion matrix, in characters. --json has it whole. */
const longestColumn = 16

/**
 * A table of the results of each class, and for few classes the confusion matrix.
 * @param counted what is counted: `images`
 */
export const classLines = (found: Confusion, counted: string): string[] => [
  ...table(classColumns(counted), classRows(found)),
  ...confusionLines(found),
]

const table = (columns: readonly Column[], rows: string[][]): string[] =>
  tableLines(columns, rows, columnsOf(process.stdout))

const left = (title: string): Column => ({ title, align: 'left' })
const right = (title: string): Column => ({ title, align: 'right' })
const classColumns = (counted: string): Column[] => [
  left('class'),
  ...[counted, 'correct', 'accuracy'].map(right),
  left('most often confused with'),
]

function classRows(metrics: Confusion): string[][] {
  const { perClass } = metrics
  const names = perClass.map(({ name }) => printable(name, longestName.class))
  const others = new Map<number, { times: number; other: number }>()
  forEachCell(cellsOf(metrics), (truth, other, times) => {
    if (other !== truth && times > (others.get(truth)?.times ?? 0)) others.set(truth, { times, other })
  })
  return perClass.map(({ count, correct, accuracy }, index) => {
    const most = others.get(index)
    const taken = most === undefined ? '' : `${names[most.other]} (${most.times})`
    return [names[index] ?? '', String(count), String(correct), count === 0 ? '' : percent(accuracy), taken]
  })
}

function confusionLines(metrics: Confusion): string[] {
  const { perClass } = metrics
  if (perClass.length > widest) return []
  const columns = [left('true \\ predicted'), ...perClass.map(({ name }) => right(printable(name, longestColumn)))]
  const rows = metrics.confusion.map((row, index) => [
    printable(perClass[index]?.name ?? '', longestName.class),
    ...row.map(String),
  ])
  return ['', ...table(columns, rows)]
}
