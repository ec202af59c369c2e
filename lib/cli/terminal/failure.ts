import { CommanderError } from 'commander'
import pc from 'picocolors'
import { messageOf, VggError } from '../../error.js'

/** The user stopped the command; what could be saved is saved, and `message` says how to go on. */
export class Interrupted extends Error {}

/** 0 done (help, version), 1 failure, 2 wrong use, 130 interrupted (128 + SIGINT, as shells count). */
export function exitCode(error: unknown): number {
  if (error instanceof Interrupted) return 130
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  return error instanceof VggError && error.code === 'INVALID_ARGUMENT' ? 2 : 1
}

function codeOf(error: unknown): string {
  if (error instanceof CommanderError) return 'INVALID_ARGUMENT'
  return error instanceof VggError ? error.code : 'INTERNAL'
}

/** One sentence with its code, or undefined where help or version was all that was asked for. */
export function failureText(error: unknown): string | undefined {
  if (error instanceof Interrupted) return error.message
  if (error instanceof CommanderError && /^commander\.(help|version)/.test(error.code)) return undefined
  const colours = pc.createColors(pc.isColorSupported && process.stderr.isTTY)
  const line = `${colours.red('vggnet:')} ${codeOf(error)}: ${sentenceOf(error)}`
  if (!/\bvggnet\b/.test(process.env.DEBUG ?? '') || !(error instanceof Error)) return line
  return `${line}\n${error.stack}`
}

function sentenceOf(error: unknown): string {
  const message = messageOf(error)
  // commander puts its suggestion on a line of its own
  return error instanceof CommanderError ? message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ') : message
}
