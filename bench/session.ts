import type { Case } from './cases.js'
import type { CaseFound, ScalingFound } from './report.js'
import type { Ceilings } from './roofline.js'

/** What the benchmark does on one device. */
export interface Session {
  /** Of what takes turns with us. */
  readonly versions: Readonly<Record<string, string>>
  readonly ceilings?: Ceilings
  /** Those that are measured where none is named. */
  readonly cases: readonly Case[]
  measure(one: Case): Promise<CaseFound>
  scaling(one: Case): Promise<ScalingFound>
  close(): void
}

/** For people: the standard output, unless that is for programs. */
export type Say = (text: string) => void
