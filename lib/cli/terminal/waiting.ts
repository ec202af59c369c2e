import { SingleBar } from 'cli-progress'
import pc from 'picocolors'

/** Says on a terminal how far something is that takes long; nothing elsewhere. */
export interface Waiting {
  /** @param of undefined where it is one piece of work */
  update(what: string, done?: number, of?: number): void
  end(): void
}

/** Shown after so long: what is over sooner needs no bar. */
const patience = 300

export function waitingOn(stream: NodeJS.WriteStream): Waiting {
  if (!stream.isTTY) return { update() {}, end() {} }
  const start = performance.now()
  const format = `${pc.cyan('{bar}')} {what}{count}`
  const bar = new SingleBar({ format, stream, barsize: 20, clearOnComplete: true, fps: 8, gracefulExit: false })
  let shown = false
  return {
    update(what, done, of) {
      if (performance.now() - start < patience) return
      const payload = { what, count: of === undefined ? '' : ` ${done} of ${of}` }
      if (shown) bar.setTotal(of ?? 1)
      else bar.start(of ?? 1, 0, payload)
      shown = true
      bar.update(done ?? 0, payload)
    },
    end() {
      if (shown) bar.stop()
      shown = false
    },
  }
}
