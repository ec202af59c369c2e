import type { LineOf, LogLine, ReadLog, TrainingFacts } from './log-line.js'

/** What a log tells of a training, without the steps that it went back over. */
export interface RunHistory {
  readonly facts: TrainingFacts | undefined
  /** ISO 8601; undefined for an empty log. */
  readonly started: string | undefined
  /** The time of the last line. */
  readonly last: string | undefined
  readonly resumes: readonly LineOf<'resume'>[]
  /** Undefined where the training is under way, or its process was killed. */
  readonly end: LineOf<'end'> | undefined
  readonly steps: readonly LineOf<'step'>[]
  readonly epochs: readonly LineOf<'epoch'>[]
  readonly skipped: LineOf<'skipped'>['files']
  readonly notFinite: readonly LineOf<'notFinite'>[]
  readonly torn: boolean
  /** Numbers of the lines that are damaged, from 1. */
  readonly damaged: readonly number[]
}

/** The history of a training, from the lines of its log. Pure. */
export function runHistoryOf({ lines, torn, damaged }: ReadLog): RunHistory {
  const first = linesOf(lines, 'start')[0] ?? linesOf(lines, 'resume')[0]
  const steps: LineOf<'step'>[] = []
  const epochs: LineOf<'epoch'>[] = []
  for (const line of lines) {
    if (line.event === 'step') {
      dropFrom(steps, line.step)
      dropFrom(epochs, line.step)
      steps.push(line)
    }
    if (line.event === 'epoch') {
      dropFrom(epochs, line.step)
      epochs.push(line)
    }
  }
  return {
    facts: first,
    started: lines[0]?.time,
    last: lines.at(-1)?.time,
    resumes: linesOf(lines, 'resume'),
    end: linesOf(lines, 'end').at(-1),
    steps,
    epochs,
    skipped: linesOf(lines, 'skipped').flatMap(({ files }) => files),
    notFinite: linesOf(lines, 'notFinite'),
    torn,
    damaged,
  }
}

function linesOf<E extends LogLine['event']>(lines: readonly LogLine[], event: E): LineOf<E>[] {
  return lines.filter((line): line is LineOf<E> => line.event === event)
}

/** Where a step comes once more, the training had gone back, and what it did of this and later ones is void. */
function dropFrom(lines: { readonly step: number }[], step: number): void {
  while ((lines.at(-1)?.step ?? 0) >= step) lines.pop()
}

/** The epoch with the best top-1 on the validation data, the first of equals; undefined without validation. */
export function bestEpoch({ epochs }: Pick<RunHistory, 'epochs'>): LineOf<'epoch'> | undefined {
  const top1 = (line: LineOf<'epoch'>) => line.validation?.top1 ?? Number.NEGATIVE_INFINITY
  return epochs
    .filter(({ validation }) => validation !== undefined)
    .reduce<LineOf<'epoch'> | undefined>((best, line) => (best && top1(best) >= top1(line) ? best : line), undefined)
}
