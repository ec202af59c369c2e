import { stripVTControlCharacters } from 'node:util'
import pc from 'picocolors'
import type { TuningInForce } from '../../platform/kept-tuning.js'
import type { CpuTuning } from '../../platform/native.js'
import { bytesText, columnsOf, wrapped } from '../../table.js'
import { print } from './print.js'

/** Prints a sentence, broken between words at the width of a terminal. */
export function printText(text: string, stream: NodeJS.WriteStream = process.stdout): void {
  for (const line of wrapped(text, columnsOf(stream))) print(line, stream)
}

const titleWidth = 11

/** Pads a title, which may be coloured, to its column. */
const padded = (title: string): string => title + ' '.repeat(titleWidth - stripVTControlCharacters(title).length)

/** Formats a title and its facts, each fact on new lines. */
export function section(title: string, facts: readonly string[], width: number): string {
  const lines = facts.flatMap((fact) => (fact === '' ? [] : wrapped(fact, width - titleWidth)))
  return lines.map((line, index) => `${pc.bold(padded(index === 0 ? title : ''))}${line}`.trimEnd()).join('\n')
}

/** Names of the tuned sizes in texts. */
export const dialNames: Readonly<Record<keyof CpuTuning, string>> = {
  ownBlock: 'own block',
  sharedBlock: 'shared block',
  gradientBlock: 'gradient block',
}

/** A tuned size as text: `512.0 KiB`, or `2` for a share. */
export const dialText = (name: keyof CpuTuning, value: number): string =>
  name === 'gradientBlock' ? String(value) : bytesText(value)

/** The sizes in use, their source, and why the defaults are used where they are. */
export function tuningFacts({ tuning, source, file, reason }: TuningInForce): string[] {
  const names = ['ownBlock', 'sharedBlock', 'gradientBlock'] as const
  const sizes = names.map((name) => `${dialNames[name]} ${dialText(name, tuning[name])}`).join(', ')
  return source === 'kept' ? [`kept: ${sizes}`, file] : [`default: ${sizes}`, reason]
}
