import type { LineOf, LogLine, ReadLog, TrainingFacts } from './log-line.js'

/** History of a training, from its log; steps that were repeated after going back to a checkpoint count once. */
export interface RunHistory {
  readonly facts: TrainingFacts | undefined
  /** Time of the first line, ISO 8601; undefined for an empty log. */
  readonly started: string | undefined
  /** Time of the last line, ISO 8601; undefined for an empty log. */
  readonly last: string | undefined
  readonly resumes: readonly LineOf<'resume'>[]
  /** Last line `end`; undefined while the training runs, or where its process was killed. */
  readonly end: LineOf<'end'> | undefined
  readonly steps: readonly LineOf<'step'>[]
  readonly epochs: readonly LineOf<'epoch'>[]
  readonly skipped: LineOf<'skipped'>['files']
  readonly notFinite: readonly LineOf<'notFinite'>[]
  readonly torn: boolean
  /** Numbers of the damaged lines, from 1. */
  readonly damaged: readonly number[]
}

/** Computes the history of a training from the lines of its log. */
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

/** Drops lines from `step` on: a repeated step means that the training went back to a checkpoint before it. */
function dropFrom(lines: { readonly step: number }[], step: number): void {
  while ((lines.at(-1)?.step ?? -1) >= step) lines.pop()
}

/** The first epoch with the highest validation top-1; undefined without validation. */
export function bestEpoch({ epochs }: Pick<RunHistory, 'epochs'>): LineOf<'epoch'> | undefined {
  const top1 = (line: LineOf<'epoch'>) => line.validation?.top1 ?? Number.NEGATIVE_INFINITY
  return epochs
    .filter(({ validation }) => validation !== undefined)
    .reduce<LineOf<'epoch'> | undefined>((best, line) => (best && top1(best) >= top1(line) ? best : line), undefined)
}
