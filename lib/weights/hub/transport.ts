import { setTimeout as pause } from 'node:timers/promises'
import { throwIfAborted, VggError } from '../../error.js'
import { Changed, NoRange, networkFault, type Purpose, statusFault, Transient, Unreachable } from './faults.js'

/** Limits of time, in milliseconds. */
export interface Timing {
  /** Longest time without a byte. */
  readonly idle: number
  /** Pauses before the second, third, ... attempt, after which a transient fault is reported. */
  readonly pauses: readonly number[]
  /** Longest pause that a server may ask for. */
  readonly longestPause: number
}

const usual: Timing = { idle: 30_000, pauses: [250, 1000, 3000, 6000], longestPause: 60_000 }

/** Largest answer of the hub about a repository, in bytes. */
const largestAnswer = 2 ** 23
const mostRedirects = 5
/** Bytes after which a broken connection counts as the first one again. */
const progressBytes = 2 ** 20

/** A range of bytes of a file whose size is known. */
export interface Span {
  readonly begin: number
  readonly end: number
  /** Size of the whole file. */
  readonly size: number
  /** If the server sends the whole file instead: the bytes before are skipped, or NoRange is thrown. */
  readonly whole: 'skip' | 'refuse'
}

/** The version of a file. */
export interface Version {
  /** Its ETag. */
  etag?: string
}

interface HubRequest {
  readonly method?: string
  readonly body?: string
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Requests to the hub, which survive broken connections, overloaded servers and limits of requests. The token is sent to
 * the endpoint only: redirects are followed here, so that no other host gets it.
 */
export class Transport {
  readonly #purpose: Purpose
  readonly #signal: AbortSignal | undefined
  readonly #timing: Timing
  /** Number of bytes of bodies received so far. */
  received = 0

  constructor(purpose: Purpose, signal?: AbortSignal, timing: Timing = usual) {
    this.#purpose = purpose
    this.#signal = signal
    this.#timing = timing
  }

  /** `fetch` for the hub's library: the answer is complete when it resolves. @throws VggError DOWNLOAD_FAILED, FILE_NOT_FOUND, ABORTED */
  readonly fetch: typeof fetch = async (input, { method = 'GET', headers, body } = {}) => {
    const url = input instanceof Request ? input.url : String(input)
    const request = {
      method,
      headers: Object.fromEntries(new Headers(headers)),
      ...(body ? { body: String(body) } : {}),
    }
    for (let failures = 0; ; ) {
      try {
        return await this.#answer(url, request)
      } catch (error) {
        failures += 1
        await this.#pause(error, failures)
      }
    }
  }

  /**
   * The bytes of a range of a file. After a broken connection it continues where it broke.
   * @param version the version of the file; the first response sets it, and a response with another one is Changed
   * @throws VggError DOWNLOAD_FAILED, FILE_NOT_FOUND, ABORTED; NoRange, Changed
   */
  async *bytes(url: string, span: Span, version: Version = {}): AsyncGenerator<Uint8Array, void, undefined> {
    let [at, failures, last] = [span.begin, 0, span.begin]
    while (at < span.end) {
      try {
        for await (const bytes of this.#stream(url, { ...span, begin: at }, version)) {
          at += bytes.length
          yield bytes
        }
      } catch (error) {
        failures = at - last >= progressBytes ? 1 : failures + 1
        last = at
        await this.#pause(error, failures)
      }
    }
  }

  async *#stream(url: string, span: Span, version: Version): AsyncGenerator<Uint8Array, void, undefined> {
    const { begin, end, size } = span
    const watch = new Watch(this.#timing.idle, this.#signal)
    try {
      const { response, host } = await this.#response(url, { headers: rangeHeaders(span, version.etag) }, watch)
      const etag = response.headers.get('ETag') ?? undefined
      if (version.etag !== undefined && etag !== version.etag) throw changed(url)
      if (etag !== undefined) version.etag = etag
      let at = bodyBegin(response, span, host)
      const last = response.status === 200 ? size : end
      checkLength(response, last - at, host)
      for await (const chunk of this.#chunks(response, host, watch)) {
        at += chunk.length
        if (at > last)
          throw new VggError('DOWNLOAD_FAILED', `${host} sent more bytes than the ${size} of the file; it was not used`)
        // the bytes before `begin`, of a server that sent the whole file
        const kept = at - begin
        if (kept > 0) yield kept < chunk.length ? chunk.subarray(chunk.length - kept) : chunk
      }
      if (at < last) throw new Transient(`The connection to ${host} ended after ${at} of ${last} bytes; try again`)
    } finally {
      watch.end()
    }
  }

  /** An answer with its whole body. */
  async #answer(url: string, request: HubRequest): Promise<Response> {
    const watch = new Watch(this.#timing.idle, this.#signal)
    try {
      const { response, host } = await this.#response(url, request, watch)
      const chunks: Uint8Array[] = []
      let length = 0
      for await (const chunk of this.#chunks(response, host, watch)) {
        length += chunk.length
        if (length > largestAnswer)
          throw new VggError('DOWNLOAD_FAILED', `${host} sent an answer of more than ${largestAnswer} bytes`)
        chunks.push(chunk)
      }
      const headers = new Headers(response.headers)
      headers.delete('Content-Encoding')
      return new Response(Buffer.concat(chunks), { status: response.status, headers })
    } finally {
      watch.end()
    }
  }

  /** The chunks of a body, each of which restarts the time without a byte. */
  async *#chunks(response: Response, host: string, watch: Watch): AsyncGenerator<Uint8Array, void, undefined> {
    if (response.body === null) return
    const reader = response.body.getReader()
    try {
      for (;;) {
        const { value } = await watch
          .during(() => reader.read())
          .catch((error) => {
            throw this.#fault(error, host)
          })
        if (value === undefined) return
        this.received += value.length
        yield value
      }
    } finally {
      // the rest of a body that is not wanted
      await reader.cancel().catch(() => undefined)
    }
  }

  /** A response with a status below 300, after redirects. */
  async #response(url: string, request: HubRequest, watch: Watch): Promise<{ response: Response; host: string }> {
    let target = new URL(url)
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const { host } = target
      const headers = { ...request.headers, ...this.#authorization(target) }
      const init = { ...request, headers, redirect: 'manual', signal: watch.signal } as const
      const response = await watch
        .during(() => fetch(target, init))
        .catch((error) => {
          throw this.#fault(error, host)
        })
      if (response.status < 300) return { response, host }
      await response.body?.cancel()
      if (![301, 302, 303, 307, 308].includes(response.status)) throw statusFault(response, host, this.#purpose)
      target = redirected(response, target)
    }
    throw new VggError('DOWNLOAD_FAILED', `${new URL(url).host} redirected more than ${mostRedirects} times`)
  }

  #authorization(target: URL): Record<string, string> {
    const { endpoint, token } = this.#purpose.environment
    return token !== undefined && target.origin === new URL(endpoint).origin ? { Authorization: `Bearer ${token}` } : {}
  }

  /** The error for a request that failed: of the caller's signal, of the watch, or of the network. */
  #fault(error: unknown, host: string): VggError {
    throwIfAborted(this.#signal, 'The download')
    return networkFault(error, host)
  }

  /** Waits before another attempt. @throws the error itself if it is not transient, or there were enough attempts */
  async #pause(error: unknown, failures: number): Promise<void> {
    const usualPause = this.#timing.pauses[failures - 1]
    // a network that is lost during a download can come back
    const lost = error instanceof Unreachable && this.received > 0
    if (!(error instanceof Transient || lost) || usualPause === undefined) throw error
    const wait = (error instanceof Transient ? error.wait : undefined) ?? usualPause
    if (wait > this.#timing.longestPause) throw error
    await pause(wait, undefined, this.#signal === undefined ? {} : { signal: this.#signal }).catch(() => undefined)
    throwIfAborted(this.#signal, 'The download')
  }
}

/** Ends a request while it waits for a byte that does not come, or when the caller aborts it. */
class Watch {
  readonly #controller = new AbortController()
  readonly #idle: number
  readonly #outer: AbortSignal | undefined
  readonly #abort = (): void => this.#controller.abort()

  constructor(idle: number, outer: AbortSignal | undefined) {
    this.#idle = idle
    this.#outer = outer
    outer?.addEventListener('abort', this.#abort)
    if (outer?.aborted) this.#abort()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Waits for something of the network. Between two calls, while the caller writes a file, no time is counted. */
  async during<T>(waiting: () => Promise<T>): Promise<T> {
    const problem = new Transient(`No byte came for ${this.#idle / 1000} s; check the network, and try again`)
    const timer = setTimeout(() => this.#controller.abort(problem), this.#idle)
    try {
      return await waiting()
    } finally {
      clearTimeout(timer)
    }
  }

  end(): void {
    this.#outer?.removeEventListener('abort', this.#abort)
  }
}

function rangeHeaders({ begin, end, size }: Span, etag: string | undefined): Record<string, string> {
  // a compressed body has no ranges, and another length
  const plain = { 'Accept-Encoding': 'identity' }
  if (begin === 0 && end === size) return plain
  const range = { ...plain, Range: `bytes=${begin}-${end - 1}` }
  // If-Range takes a strong tag only
  return etag?.startsWith('"') ? { ...range, 'If-Range': etag } : range
}

/** Position of the first byte of a body. @throws NoRange; DOWNLOAD_FAILED if it is another range than the span */
function bodyBegin(response: Response, { begin, end, size, whole }: Span, host: string): number {
  if (response.status === 200) {
    if (whole === 'skip' || (begin === 0 && end === size)) return 0
    throw new NoRange('DOWNLOAD_FAILED', `${host} sends whole files only, no ranges of bytes`)
  }
  const range = response.headers.get('Content-Range')
  if (response.status === 206 && range === `bytes ${begin}-${end - 1}/${size}`) return begin
  const received = `status ${response.status}${range === null ? '' : ` and Content-Range '${range.slice(0, 60)}'`}`
  throw new VggError(
    'DOWNLOAD_FAILED',
    `Expected bytes ${begin}-${end - 1}/${size} of ${host} but received ${received}`,
  )
}

function checkLength(response: Response, expected: number, host: string): void {
  const length = response.headers.get('Content-Length')
  const encoding = response.headers.get('Content-Encoding')
  if (encoding === null && (length === null || Number(length) === expected)) return
  const received = encoding === null ? `${length?.slice(0, 20)} bytes` : `bytes compressed by ${encoding.slice(0, 20)}`
  throw new VggError('DOWNLOAD_FAILED', `Expected ${expected} bytes of ${host} but it sends ${received}`)
}

function redirected(response: Response, from: URL): URL {
  const location = response.headers.get('Location') ?? ''
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  const safe = to?.protocol === 'https:' || (to?.protocol === 'http:' && from.protocol === 'http:')
  if (to !== undefined && safe && to.username === '' && to.password === '') return to
  throw new VggError(
    'DOWNLOAD_FAILED',
    `${from.host} redirected to an address that cannot be followed; is HF_ENDPOINT right?`,
  )
}

const changed = (url: string): Changed =>
  new Changed('DOWNLOAD_FAILED', `${new URL(url).pathname} became another file while it was fetched; try again`)
