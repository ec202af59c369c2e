import { randomBytes, timingSafeEqual } from 'node:crypto'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { type ErrorCode, messageOf, VggError } from '../error.js'
import { isObject } from '../options.js'

/** Messages between rank 0 and each other rank, outside MPI, which does not report a rank that is lost. */
type Message =
  | { readonly kind: 'hello'; readonly rank: number; readonly token: string }
  | { readonly kind: 'beat' }
  | { readonly kind: 'bye' }
  | { readonly kind: 'failed'; readonly rank: number; readonly code: ErrorCode; readonly message: string }

/** The address of rank 0, for the others. */
interface Meeting {
  readonly port: number
  readonly addresses: readonly string[]
  readonly token: string
}

const startTimer = globalThis.setTimeout

/** Times in milliseconds. */
const times = { beat: 1000, connect: 5000, hello: 10_000, hear: 3000 }

/** Longest line that is accepted of a connection. */
const longestLine = 16_384
const longestMessage = 4000

/** Milliseconds between two looks at the clock after which this process was stopped itself: silence of others proves nothing. */
const stall = 5000

export interface HeartbeatOptions {
  readonly rank: number
  readonly hosts: readonly string[]
  /** Milliseconds of silence after which a rank counts as lost. */
  readonly timeout: number
  /** Passes a value of each rank to all. */
  gather<T>(value: T): Promise<T[]>
  /** Called once, when another rank is lost, or has failed. */
  onFailure(error: VggError, lost: number | undefined): void
}

/** Watches the other ranks over TCP: rank 0 all of them, and each of them rank 0, which passes failures on. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  readonly #links = new Map<number, Link>()
  #server: Server | undefined
  #timer: NodeJS.Timeout | undefined
  #checked = performance.now()
  #ended = false

  private constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  /** Connects the ranks. @throws GROUP_UNAVAILABLE on all of them, if one cannot reach rank 0 */
  static async open(options: HeartbeatOptions): Promise<Heartbeat> {
    const heartbeat = new Heartbeat(options)
    await heartbeat.#connect().catch((error) => {
      heartbeat.close()
      throw error
    })
    heartbeat.#timer = setInterval(() => heartbeat.#beat(), times.beat)
    heartbeat.#timer.unref()
    return heartbeat
  }

  async #connect(): Promise<void> {
    const { rank, hosts, gather } = this.#options
    const waiting = rank === 0 ? await this.#listen() : undefined
    const [meeting] = await gather<Meeting | undefined>(waiting?.meeting)
    const connected = waiting?.all ?? this.#reach(meeting as Meeting)
    const obstacles = await gather(await connected.then(() => null, messageOf))
    const first = obstacles.findIndex((obstacle) => obstacle !== null)
    if (first === -1) return
    const who = `rank ${first} on ${hosts[first]}`
    const cure =
      'let the hosts of the job reach each other over TCP, or set VGGNET_GROUP_TIMEOUT=0 to train without a watch'
    throw new VggError('GROUP_UNAVAILABLE', `${who} and rank 0 could not connect: ${obstacles[first]}; ${cure}`)
  }

  async #listen(): Promise<{ meeting: Meeting; all: Promise<void> }> {
    const { hosts } = this.#options
    const token = randomBytes(16).toString('hex')
    const missing = new Set(hosts.keys())
    missing.delete(0)
    const server = createServer()
    this.#server = server
    // a stranger may connect, and has no token
    server.maxConnections = 4 * hosts.length + 16
    const all = new Promise<void>((resolve, reject) => {
      const late = startTimer(() => {
        reject(
          new Error(`no connection from ${[...missing].map((rank) => `rank ${rank} on ${hosts[rank]}`).join(', ')}`),
        )
      }, times.connect + times.hello)
      server.on('connection', (socket) => {
        const link = new Link(socket)
        const stranger = startTimer(() => socket.destroy(), times.hello)
        socket.once('close', () => clearTimeout(stranger))
        link.onMessage = (message) => {
          if (message.kind !== 'hello' || !isSame(message.token, token) || !missing.delete(message.rank))
            return socket.destroy()
          clearTimeout(stranger)
          this.#use(message.rank, link)
          if (missing.size > 0) return
          clearTimeout(late)
          resolve()
        }
      })
    })
    all.catch(() => undefined)
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, resolve))
    server.unref()
    const address = server.address()
    return { meeting: { port: isObject(address) ? Number(address.port) : 0, addresses: ownAddresses(), token }, all }
  }

  /** Connects to rank 0 at the first of its addresses that answers. */
  async #reach({ port, addresses, token }: Meeting): Promise<void> {
    const { rank, hosts } = this.#options
    const reasons: string[] = []
    for (const address of hosts[rank] === hosts[0] ? ['127.0.0.1', ...addresses] : addresses) {
      try {
        const link = new Link(await connected(address, port))
        link.send({ kind: 'hello', rank, token })
        return this.#use(0, link)
      } catch (error) {
        reasons.push(`${address}: ${messageOf(error)}`)
      }
    }
    throw new Error(reasons.join('; '))
  }

  #use(rank: number, link: Link): void {
    this.#links.set(rank, link)
    link.heard = performance.now()
    link.onMessage = (message) => {
      if (message.kind === 'bye') this.#links.delete(rank)
      if (message.kind === 'failed') this.#fail(message)
    }
    link.onEnd = () => this.#lost(rank, 'its process has ended')
  }

  #beat(): void {
    const now = performance.now()
    const stalled = now - this.#checked > stall
    this.#checked = now
    for (const [rank, link] of this.#links) {
      if (stalled) link.heard = now
      link.send({ kind: 'beat' })
      const silent = now - link.heard
      if (silent > this.#options.timeout) this.#lost(rank, `it has not answered for ${Math.round(silent / 1000)} s`)
    }
  }

  #lost(rank: number, reason: string): void {
    if (this.#ended || !this.#links.delete(rank)) return
    const message = `rank ${rank} on ${this.#options.hosts[rank]} is lost: ${reason}`
    this.#fail({ kind: 'failed', rank, code: 'GROUP_LOST', message })
  }

  #fail(failure: Extract<Message, { kind: 'failed' }>): void {
    if (this.#ended) return
    this.#tell(failure)
    const { code, message, rank } = failure
    this.#options.onFailure(new VggError(code, message), code === 'GROUP_LOST' ? rank : undefined)
  }

  #tell(message: Message): void {
    for (const link of this.#links.values()) link.send(message)
    this.#end()
  }

  /** Reports an error of this rank to the others, which ends the group, and waits until they have heard it. */
  async announce(error: VggError): Promise<void> {
    if (this.#ended) return
    const { rank, hosts } = this.#options
    const message = `rank ${rank} on ${hosts[rank]}: ${error.message}`.slice(0, longestMessage)
    this.#tell({ kind: 'failed', rank, code: error.code, message })
    await Promise.race([Promise.all([...this.#links.values()].map(({ ended }) => ended)), setTimeout(times.hear)])
  }

  /** Ends the watch; the other ranks know that this one has not failed. */
  close(): void {
    if (!this.#ended) this.#tell({ kind: 'bye' })
  }

  #end(): void {
    this.#ended = true
    clearInterval(this.#timer)
    this.#server?.close()
    for (const link of this.#links.values()) link.end()
  }
}

/** Addresses of this host that others may reach. */
const ownAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address)

const isSame = (given: string, token: string): boolean =>
  given.length === token.length && timingSafeEqual(Buffer.from(given), Buffer.from(token))

const connected = (host: string, port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host, port })
    socket.setTimeout(times.connect, () => socket.destroy(new Error('no answer')))
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.setTimeout(0)
      socket.off('error', reject)
      resolve(socket)
    })
  })

/** A connection to another rank: lines of JSON. It keeps no process alive. */
class Link {
  readonly #socket: Socket
  #line = ''
  /** Time of the last message. */
  heard = performance.now()
  onMessage: (message: Message) => void = () => undefined
  onEnd: () => void = () => undefined
  /** Settles when the connection is closed at both ends. */
  readonly ended: Promise<void>

  constructor(socket: Socket) {
    this.#socket = socket
    socket.unref()
    socket.setNoDelay()
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.#read(text))
    socket.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.onEnd()
        resolve()
      })
    })
  }

  #read(text: string): void {
    this.heard = performance.now()
    const lines = `${this.#line}${text}`.split('\n')
    this.#line = lines.pop() ?? ''
    if (this.#line.length > longestLine) return void this.#socket.destroy()
    for (const line of lines) {
      const message = messageIn(line)
      if (message === undefined) return void this.#socket.destroy()
      this.onMessage(message)
    }
  }

  send(message: Message): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  end(): void {
    this.#socket.end()
  }
}

/** A message in a line; undefined for what is none. */
function messageIn(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (!isObject(value)) return undefined
    const { kind, rank, token, code, message } = value
    if (kind === 'beat' || kind === 'bye') return { kind }
    if (typeof rank !== 'number') return undefined
    if (kind === 'hello' && typeof token === 'string') return { kind, rank, token }
    if (kind === 'failed' && typeof code === 'string' && typeof message === 'string')
      return { kind, rank, code: code as ErrorCode, message }
    return undefined
  } catch {
    return undefined
  }
}
