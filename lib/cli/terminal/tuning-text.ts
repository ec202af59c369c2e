import type { TuningInForce } from '../../platform/kept-tuning.js'
import type { CpuTuning } from '../../platform/native.js'
import { bytesText } from '../../table.js'

/** What people read for the sizes of a tuning. */
export const dialNames: Readonly<Record<keyof CpuTuning, string>> = {
  ownBlock: 'own block',
  sharedBlock: 'shared block',
  gradientBlock: 'gradient block',
}

/** `512.0 KiB`, or a share: `2`. */
export const dialText = (name: keyof CpuTuning, value: number): string =>
  name === 'gradientBlock' ? String(value) : bytesText(value)

/** The sizes in force, where they are from, and why none that is kept is. */
export function tuningFacts({ tuning, source, file, reason }: TuningInForce): string[] {
  const names = ['ownBlock', 'sharedBlock', 'gradientBlock'] as const
  const sizes = names.map((name) => `${dialNames[name]} ${dialText(name, tuning[name])}`).join(', ')
  return source === 'kept' ? [`kept: ${sizes}`, file] : [`default: ${sizes}`, reason]
}
