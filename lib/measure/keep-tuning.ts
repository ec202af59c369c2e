import { mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { systemCode, writeAtomically, writeError } from '../files/atomic-file.js'
import { type KeptTuning, tuningFormat } from '../platform/kept-tuning.js'
import type { Measured } from './tuning.js'

/** Keeps what was measured, whole or not at all; processes that begin later go by it. @throws FILE_WRITE */
export async function keepTuning(
  file: string,
  { machine, tuning }: Pick<Measured, 'machine' | 'tuning'>,
): Promise<void> {
  const kept: KeptTuning = { format: tuningFormat, machine, measured: new Date().toISOString(), tuning }
  try {
    await mkdir(path.dirname(file), { recursive: true })
  } catch (error) {
    throw writeError(file, error)
  }
  await writeAtomically(file, [new TextEncoder().encode(`${JSON.stringify(kept, null, 2)}\n`)])
}

/** Removes what is kept. @returns whether there was something @throws FILE_WRITE */
export async function forgetTuning(file: string): Promise<boolean> {
  try {
    await rm(file)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw writeError(file, error)
  }
}
