// An HTTP server that classifies images. Concurrent requests are computed as one batch on the network's thread, so the
// event loop is not blocked. docs/safety.md lists what a stranger may try, and the limit that answers it.
// curl --data-binary @seven.png http://127.0.0.1:8080/classify
// Run: npx tsx examples/server.ts [--port 8080] [--model FILE]   (Node 22.18 and later: node examples/server.ts)
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { VggError } from 'vggnet'
import { accepted, Classifier } from './classifier.ts'
import { command, wholeNumber } from './command.ts'
import { digitModel } from './digit-model.ts'

const usage = `server.ts [--host ADDRESS] [--port N] [--batch N] [--queue N] [--seconds N] [--model FILE]
  --host ADDRESS  address to listen at; 0.0.0.0 lets other machines in (default 127.0.0.1)
  --port N        port; 0 for any free one (default 8080)
  --batch N       largest number of images in a batch (default 32)
  --queue N       largest number of images in work; further ones are refused with 503 (default 128)
  --seconds N     time for a client to send a request, and for the last answers after SIGTERM (default 30)
  --model FILE    a model, such as demo-output/digits.safetensors (default: trains one on 0 to 4)`

const limits = {
  connections: 2_000,
  /** Requests in work of one connection: what a client sends without waiting for answers. */
  pipelined: 8,
  requestsOfConnection: 10_000,
  headerBytes: 8_192,
  headerSeconds: 5,
  /** Between two requests of a connection. */
  keepAliveSeconds: 20,
  /** Without a byte in either direction, while an answer is computed or not read. */
  idleSeconds: 60,
  bodyBytes: 10_000_000,
  /** Bodies in memory, of all requests together. */
  allBodiesBytes: 256_000_000,
}

/** A request that is not answered with a result, and why. */
class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const busy = () => new Refusal(503, 'Too many requests at once: try again later')

/** The status of an error, and a text of the server's own: messages of errors are for its log. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  const code = error instanceof VggError ? error.code : ''
  if (code === 'FILE_FORMAT') return new Refusal(400, `Expected an image: ${accepted}`)
  return code === 'OUT_OF_MEMORY' || code === 'STATE' ? busy() : new Refusal(500, 'The server failed')
}

/** Answers requests within the limits, and counts what became of them. */
class Service {
  readonly #classifier: Classifier
  readonly #queue: number
  readonly #inWork = new WeakMap<Socket, number>()
  /** Numbers of answers by status, and of clients that left before theirs. */
  readonly counts: Record<string, number> = {}
  #bodyBytes = 0
  isClosing = false

  constructor(classifier: Classifier, queue: number) {
    this.#classifier = classifier
    this.#queue = queue
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request
    const inWork = this.#inWork.get(socket) ?? 0
    this.#inWork.set(socket, inWork + 1)
    const left = new AbortController()
    response.once('close', () => left.abort())
    try {
      if (inWork >= limits.pipelined) throw busy()
      const result = await this.#result(request, left.signal)
      left.signal.throwIfAborted()
      this.#send(response, 200, result)
    } catch (error) {
      if (left.signal.aborted || (request.destroyed && !request.complete)) this.#count('left')
      else {
        const { status, message } = refusalOf(error)
        if (status === 500) console.error(error)
        this.#send(response, status, { error: message })
      }
    } finally {
      this.#inWork.set(socket, (this.#inWork.get(socket) ?? 1) - 1)
    }
  }

  async #result(request: IncomingMessage, signal: AbortSignal): Promise<unknown> {
    const { method, url, headers } = request
    if (method === 'GET' && url === '/health') return { ok: true }
    if (method !== 'POST' || url !== '/classify') throw new Refusal(404, 'POST an image to /classify')
    const tooLarge = () => new Refusal(413, `Expected at most ${limits.bodyBytes} bytes for an image`)
    if (Number(headers['content-length'] ?? 0) > limits.bodyBytes) throw tooLarge()
    this.#checkRoom()
    // one buffer that grows: parts of a byte each would take hundreds of times their bytes
    let body = Buffer.alloc(0)
    let bytes = 0
    try {
      // by default leaving the loop would destroy the connection, and no answer could be sent
      for await (const part of request.iterator({ destroyOnReturn: false })) {
        const end = bytes + part.length
        if (end > limits.bodyBytes) throw tooLarge()
        if (end > body.length) {
          this.#bodyBytes += 2 * end - body.length
          body = Buffer.concat([body], 2 * end)
        }
        if (this.#bodyBytes > limits.allBodiesBytes) throw busy()
        body.set(part, bytes)
        bytes = end
      }
      this.#checkRoom()
      return await this.#classifier.classify(body.subarray(0, bytes), signal)
    } finally {
      this.#bodyBytes -= body.length
    }
  }

  #checkRoom(): void {
    if (this.#classifier.size >= this.#queue) throw busy()
  }

  #send(response: ServerResponse, status: number, body: unknown): void {
    if (status === 503) response.setHeader('retry-after', '1')
    if (this.isClosing) response.setHeader('connection', 'close')
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
    this.#count(String(status))
    // The rest of a body is read and dropped while the request may last. A connection that is not read stays unnoticed.
    response.req.resume()
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }
}

/** A server with the limits. `seconds` is the time for a request to arrive. */
function serverOf(service: Service, seconds: number): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: 1000 * Math.min(limits.headerSeconds, seconds),
      requestTimeout: 1000 * seconds,
      keepAliveTimeout: 1000 * limits.keepAliveSeconds,
      // how often the times above are compared: by default every 30 s
      connectionsCheckingInterval: 500,
    },
    (request, response) => void service.answer(request, response),
  )
  server.maxConnections = limits.connections
  server.maxRequestsPerSocket = limits.requestsOfConnection
  server.timeout = 1000 * limits.idleSeconds
  return server
}

const defaults = { host: '127.0.0.1', port: '8080', batch: '32', queue: '128', seconds: '30', model: '' }
await command(usage, defaults, async (flags) => {
  const port = wholeNumber(flags.port, 'port', [0, 65535])
  const batch = wholeNumber(flags.batch, 'batch', [1, 1024])
  const queue = wholeNumber(flags.queue, 'queue', [1, 100_000])
  const seconds = wholeNumber(flags.seconds, 'seconds', [1, 3600])
  const net = await digitModel(flags.model)
  const service = new Service(new Classifier(net, batch), queue)
  const server = serverOf(service, seconds)
  server.on('error', (error) => {
    console.error(error.message)
    process.exit(1)
  })
  server.listen(port, flags.host, () => {
    const { address, family, port } = server.address() as AddressInfo
    console.log(`listening on http://${family === 'IPv6' ? `[${address}]` : address}:${port}`)
  })
  const close = () => {
    service.isClosing = true
    server.close(() => {
      console.log(`ended; answers: ${JSON.stringify(service.counts)}`)
      net.dispose()
    })
    // a closing server of Node no longer compares times, and would wait for a silent client for ever
    setTimeout(() => server.closeAllConnections(), 1000 * seconds).unref()
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, close)
})
