import { type AddHelpTextContext, type AddHelpTextPosition, Command, Help, type ParseOptionsResult } from 'commander'
import { columnsOf, wrapped } from '../../table.js'

/** Columns below which the description of a flag is below the flag, not beside it. */
const leastBeside = 40

class WrappedHelp extends Help {
  override minWidthToWrap = 1

  override formatItem(term: string, termWidth: number, description: string, helper: Help): string {
    const width = this.helpWidth ?? 80
    if (width - termWidth >= leastBeside) return super.formatItem(term, termWidth, description, helper)
    return [`  ${term}`, ...wrapped(description, width - 6).map((line) => `      ${line}`)].join('\n')
  }

  override formatItemList(heading: string, items: string[], helper: Help): string[] {
    return super.formatItemList(wrapped(heading, this.helpWidth ?? 80).join('\n'), items, helper)
  }
}

/** A command whose help fits the terminal, and which refuses a value after a flag that takes none. */
export class TerminalCommand extends Command {
  override createCommand(name?: string): TerminalCommand {
    return new TerminalCommand(name)
  }

  override createHelp(): Help {
    return Object.assign(new WrappedHelp(), this.configureHelp())
  }

  override addHelpText(position: AddHelpTextPosition, text: string | ((context: AddHelpTextContext) => string)): this {
    if (typeof text !== 'string') return super.addHelpText(position, text)
    return super.addHelpText(position, ({ error }) => fitted(text, columnsOf(error ? process.stderr : process.stdout)))
  }

  override parseOptions(words: string[]): ParseOptionsResult {
    const end = words.indexOf('--')
    for (const word of end === -1 ? words : words.slice(0, end)) this.#refuseValue(word)
    return super.parseOptions(words)
  }

  #refuseValue(word: string): void {
    const [, name = '', value] = /^(--[^=]+)=(.*)$/s.exec(word) ?? []
    const positive = name.replace(/^--no-/, '--')
    const flags = this.options.filter(({ long }) => long === positive || long === positive.replace(/^--/, '--no-'))
    const [flag] = flags
    if (flag === undefined || flag.required || flag.optional) return
    const forms = flags.map(({ long }) => long).join(' or ')
    this.error(`error: option '${name}' takes no value but received '${value}': give ${forms} alone, or leave it out`)
  }
}

/** Breaks the lines of a help text that are longer than `width` between words. */
function fitted(text: string, width: number): string {
  const blocks = text.split('\n\n').map((block) => {
    if (block.split('\n').every((line) => line.length <= width)) return block
    if (/^ +\$ /m.test(block)) return fittedCommands(block, width)
    // the first block begins with an empty line
    return (block.startsWith('\n') ? '\n' : '') + wrapped(block, width).join('\n')
  })
  return blocks.join('\n\n')
}

/** Breaks commands, each of which starts with `$`, so that a shell still reads them as one. */
function fittedCommands(block: string, width: number): string {
  const lines = block.replaceAll(/ \\\n +/g, ' ').split('\n')
  return lines
    .flatMap((line) => {
      const [, indent, command = '', comment = ''] = /^( +)\$ (.*?)(?: +# (.*))?$/.exec(line) ?? []
      if (indent === undefined || line.length <= width) return line
      const room = width - 8
      // a flag stays with its value
      const words = command.replaceAll(/(--\S+) ([^-\s]\S*)/g, (pair, flag, value) =>
        pair.length <= room ? `${flag}\0${value}` : pair,
      )
      const parts = wrapped(words, room).join(' \\\n      ').replaceAll('\0', ' ')
      return [...wrapped(comment, width - 4).map((part) => `${indent}# ${part}`), `${indent}$ ${parts}`]
    })
    .join('\n')
}
