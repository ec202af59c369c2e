import { stripVTControlCharacters } from 'node:util'
import pc from 'picocolors'
import type { TuningInForce } from '../../platform/kept-tuning.js'
import type { CpuTuning } from '../../platform/native.js'
import { bytesText } from '../../table.js'

/** Words in lines of at most `width`; a longer one (a path) has a line of its own, a command in backquotes is one. */
function wrapped(words: string, width: number): string[] {
  const lines: string[] = []
  for (const word of words.match(/(?:`[^`]*`|\S)+/g) ?? []) {
    const last = lines.at(-1)
    if (last === undefined || stripVTControlCharacters(`${last} ${word}`).length > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

const titleWidth = 11

/** Of the width of a title; colours take none. */
const padded = (title: string): string => title + ' '.repeat(titleWidth - stripVTControlCharacters(title).length)

/** A title, and behind it its facts, each on lines of its own. */
export function section(title: string, facts: readonly string[], width: number): string {
  const lines = facts.flatMap((fact) => (fact === '' ? [] : wrapped(fact, width - titleWidth)))
  return lines.map((line, index) => `${pc.bold(padded(index === 0 ? title : ''))}${line}`.trimEnd()).join('\n')
}

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
