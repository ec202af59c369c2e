// An HTTP server that classifies images. Concurrent requests are computed as one batch on the network's thread, so the
// event loop is not blocked. docs/safety.md lists what a stranger may try, and the limit that answers it.
// curl --data-binary @seven.png http://127.0.0.1:8080/classify   or, as a form: curl --form image=@seven.png ...
// GET /healthz answers while it accepts work, and GET /metrics is for Prometheus.
// Run: npx tsx examples/server.ts [--port 8080] [--model FILE]   (Node 22.18 and later: node examples/server.ts)
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
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
  /** Parts of a form before its file. */
  partsOfForm: 16,
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
  return code === 'OUT_OF_MEMORY' || code === 'QUEUE_FULL' ? busy() : new Refusal(500, 'The server failed')
}

/** The numbers for Prometheus: of the process, of the answers, and of the images in work. */
function metricsOf(classifier: Classifier) {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const answersHelp = 'Answers by status; left: clients that left before theirs'
  const answers = new Counter({ name: 'vggnet_answers_total', help: answersHelp, labelNames: ['status'], registers })
  const seconds = new Histogram({
    name: 'vggnet_classify_seconds',
    help: 'Time of an image that was classified',
    registers,
  })
  new Gauge({
    name: 'vggnet_images_in_work',
    help: 'Images that wait, are decoded or are computed',
    registers,
    collect() {
      this.set(classifier.size)
    },
  })
  return { registry, answers, seconds }
}

/** Answers requests within the limits, and counts what became of them. */
class Service {
  readonly #classifier: Classifier
  readonly #queue: number
  readonly #metrics: ReturnType<typeof metricsOf>
  readonly #inWork = new WeakMap<Socket, number>()
  /** Numbers of answers by status, and of clients that left before theirs. */
  readonly counts: Record<string, number> = {}
  #bodyBytes = 0
  isClosing = false

  constructor(classifier: Classifier, queue: number) {
    this.#classifier = classifier
    this.#queue = queue
    this.#metrics = metricsOf(classifier)
  }

  /** The routes. Bodies are read by `#image`: a body of fastify would be kept in thousands of parts. */
  addRoutes(app: FastifyInstance): void {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    const health = async () => json({ ok: true })
    app.get('/health', this.#answering(health))
    app.get('/healthz', this.#answering(health))
    app.get(
      '/metrics',
      this.#answering(async () => this.#metricsText()),
    )
    app.post(
      '/classify',
      this.#answering((request, signal) => this.#classes(request, signal)),
    )
    const other = async () => Promise.reject(new Refusal(404, 'POST an image to /classify'))
    app.setNotFoundHandler(this.#answering(other))
    app.setErrorHandler((error, _request, reply) => this.#refuse(reply, error))
  }

  #answering(work: (request: IncomingMessage, signal: AbortSignal) => Promise<Content>) {
    return async ({ raw: request }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const { socket } = request
      const inWork = this.#inWork.get(socket) ?? 0
      this.#inWork.set(socket, inWork + 1)
      const left = new AbortController()
      reply.raw.once('close', () => left.abort())
      try {
        if (inWork >= limits.pipelined) throw busy()
        const content = await work(request, left.signal)
        left.signal.throwIfAborted()
        this.#send(reply, 200, content)
      } catch (error) {
        if (left.signal.aborted || (request.destroyed && !request.complete)) {
          this.#count('left')
          reply.hijack()
        } else this.#refuse(reply, error)
      } finally {
        this.#inWork.set(socket, (this.#inWork.get(socket) ?? 1) - 1)
      }
      return reply
    }
  }

  async #metricsText(): Promise<Content> {
    const { registry } = this.#metrics
    return { type: registry.contentType, text: await registry.metrics() }
  }

  async #classes(request: IncomingMessage, signal: AbortSignal): Promise<Content> {
    const { headers } = request
    const ended = this.#metrics.seconds.startTimer()
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
      const image = imageOf(body.subarray(0, bytes), headers['content-type'])
      const classes = await this.#classifier.classify(image, signal)
      ended()
      return json(classes)
    } finally {
      this.#bodyBytes -= body.length
    }
  }

  #checkRoom(): void {
    if (this.#classifier.size >= this.#queue) throw busy()
  }

  #refuse(reply: FastifyReply, error: unknown): void {
    const { status, message } = refusalOf(error)
    if (status === 500) console.error(error)
    this.#send(reply, status, json({ error: message }))
  }

  #send(reply: FastifyReply, status: number, { type, text }: Content): void {
    if (status === 503) reply.header('retry-after', '1')
    if (this.isClosing) reply.header('connection', 'close')
    reply.code(status).header('content-type', type).send(text)
    this.#count(String(status))
    // The rest of a body is read and dropped while the request may last. A connection that is not read stays unnoticed.
    reply.request.raw.resume()
  }

  #count(status: string): void {
    this.counts[status] = (this.counts[status] ?? 0) + 1
    this.#metrics.answers.inc({ status })
  }
}

interface Content {
  type: string
  text: string
}

const json = (value: unknown): Content => ({ type: 'application/json', text: `${JSON.stringify(value)}\n` })

/** The image of a body: the first file of a form, without a copy, or the body itself. */
function imageOf(body: Buffer, type = ''): Buffer {
  const [, quoted, plain] = /^multipart\/form-data\b.*\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(type) ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined) return body
  let start = body.indexOf(`--${boundary}`)
  for (let part = 0; part < limits.partsOfForm && start !== -1; part++) {
    const content = body.indexOf('\r\n\r\n', start) + 4
    const end = content < 4 ? -1 : body.indexOf(`\r\n--${boundary}`, content)
    if (end === -1) break
    const header = body.toString('latin1', start, Math.min(content, start + limits.headerBytes))
    if (/\bfilename\*?=/i.test(header)) return body.subarray(content, end)
    start = end
  }
  throw new Refusal(400, 'Expected a file in the form: curl --form image=@seven.png')
}

/** A server of Node with the limits, which fastify would not set. `seconds` is the time for a request to arrive. */
function serverOf(listener: RequestListener, seconds: number) {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: 1000 * Math.min(limits.headerSeconds, seconds),
      requestTimeout: 1000 * seconds,
      keepAliveTimeout: 1000 * limits.keepAliveSeconds,
      // how often the times above are compared: by default every 30 s
      connectionsCheckingInterval: 500,
    },
    listener,
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
  const service = new Service(new Classifier(net, batch, queue), queue)
  const serverFactory = (listener: RequestListener) => serverOf(listener, seconds)
  // what arrives on a connection that was accepted is answered, also while the server ends
  const app = fastify({ serverFactory, return503OnClosing: false, logger: false })
  service.addRoutes(app)
  try {
    await app.listen({ port, host: flags.host })
  } catch (error) {
    console.error((error as Error).message)
    process.exit(1)
  }
  const { address, family, port: actual } = app.server.address() as AddressInfo
  console.log(`listening on http://${family === 'IPv6' ? `[${address}]` : address}:${actual}`)
  const close = async () => {
    service.isClosing = true
    // a closing server of Node no longer compares times, and would wait for a silent client for ever
    setTimeout(() => app.server.closeAllConnections(), 1000 * seconds).unref()
    await app.close()
    console.log(`ended; answers: ${JSON.stringify(service.counts)}`)
    net.dispose()
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void close())
})
