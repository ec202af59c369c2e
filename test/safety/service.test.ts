import { readFileSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { connect } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import autocannon from 'autocannon'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { save } from '../../lib/index.js'
import { svgBomb } from '../setup/bombs.js'
import { start } from '../setup/command.js'
import { smallNet } from '../setup/stripes.js'
import { casesOf } from './cases.js'

/** Seconds that the load takes about: a minute in the whole. */
const loadSeconds = casesOf({ sample: 2, whole: 60 })
/** Requests that are sent without reading answers. */
const pipelined = casesOf({ sample: 500, whole: 5000 })
/** How often a thousand connections are opened, each for one request. */
const rounds = casesOf({ sample: 1, whole: 10 })

type Body = Uint8Array<ArrayBuffer>

/** A JPEG of noise. */
async function jpeg(width: number, height: number): Promise<Body> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const
  const image = sharp({ create: { width, height, channels: 3, background: '#000', noise } })
  return new Uint8Array(await image.jpeg().toBuffer())
}

/** A PNG of one colour: few bytes, and a second to decode at 5000x5000. */
async function png(width: number, height: number): Promise<Body> {
  return new Uint8Array(
    await sharp({ create: { width, height, channels: 3, background: '#123' } })
      .png()
      .toBuffer(),
  )
}

/** Texts by which a message would report where and how the server runs. */
const internals = /node_modules|\.[jt]s\b|\bat \S+ \(|\/home|\/tmp|vips|sharp|--/

/** The example as a process. */
async function serve(...words: string[]) {
  const { child, ended } = start('examples/server.ts', ['--port', '0', ...words])
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (text: string) => {
      const [found] = /http:\S+/.exec(text) ?? []
      if (found !== undefined) resolve(found)
    })
    void ended.then(({ stderr }) => reject(new Error(`The server ended: ${stderr}`)))
  })
  const url = `${address}/classify`
  const open = () => {
    const socket = connect(Number(new URL(address).port), '127.0.0.1')
    // the server may close a connection while something is written to it
    return socket.on('error', () => undefined)
  }
  /** Numbers of answers that were received, by status. */
  const received: Record<string, number> = {}
  const receive = (status: number, count = 1) => {
    if (count > 0) received[status] = (received[status] ?? 0) + count
  }
  return {
    received,
    receive,
    open,
    async post(body: Body | ReadableStream | FormData, headers = {}) {
      const answer = await fetch(url, { method: 'POST', body, headers, duplex: 'half' } as RequestInit)
      receive(answer.status)
      return { status: answer.status, headers: answer.headers, text: await answer.text() }
    },
    async get(path: string) {
      const answer = await fetch(`${address}${path}`)
      receive(answer.status)
      return answer.text()
    },
    /** Writes text on a new connection, and `more` every 50 ms. Returns the statuses of all answers until the server closes it. */
    async raw(text: string | Uint8Array, more = ''): Promise<number[]> {
      const socket = open()
      const timer = setInterval(() => more && socket.write(more), 50)
      let answers = ''
      socket.setEncoding('latin1').on('data', (part: string) => {
        answers += part
      })
      socket.write(text)
      await new Promise((resolve) => socket.once('close', resolve))
      clearInterval(timer)
      return [...answers.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status))
    },
    /** Sends this number of requests. All are answered with 200 or refused with 503. */
    async load(body: Body, { connections, amount }: { connections: number; amount: number }) {
      const requests = { method: 'POST', body: Buffer.from(body), timeout: 300 } as const
      const result = await autocannon({ url, connections, amount, ...requests })
      const refused = result.statusCodeStats?.['503']?.count ?? 0
      receive(200, result['2xx'])
      receive(503, refused)
      const { errors, timeouts, resets } = result
      const none = { errors: 0, timeouts: 0, resets: 0 }
      const answers = result.statusCodeStats
      expect({ errors, timeouts, resets, sent: result['2xx'] + refused }, JSON.stringify(answers)).toEqual({
        ...none,
        sent: amount,
      })
      return { ...result, refused }
    },
    /** Resident memory in megabytes. */
    resident: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024,
    /**
     * Ends it by SIGTERM, without an error. Returns the numbers of answers that it has sent by status, without clients
     * that left.
     */
    async end(): Promise<Record<string, number>> {
      child.kill('SIGTERM')
      const { code, stdout, stderr } = await ended
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const { left: _, ...answers } = JSON.parse(/^ended; answers: (.*)$/m.exec(stdout)?.[1] ?? 'null')
      return answers
    },
    kill: () => child.kill('SIGKILL'),
  }
}

const header = (length: number) => `POST /classify HTTP/1.1\r\nHost: here\r\nContent-Length: ${length}\r\n\r\n`

describe('the service example', () => {
  let folder = ''
  let server: Awaited<ReturnType<typeof serve>>
  /** Has room for two images, and two seconds for a request. */
  let narrow: typeof server
  let image: Body
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'vggnet-service-'))
    const model = path.join(folder, 'model.safetensors')
    const net = await smallNet({ channels: 3 })
    await save(net, model)
    net.dispose()
    ;[server, narrow, image] = await Promise.all([
      serve('--model', model),
      serve('--model', model, '--queue', '2', '--seconds', '2'),
      jpeg(320, 240),
    ])
  })
  afterAll(() => {
    for (const one of [server, narrow]) one?.kill()
    rmSync(folder, { recursive: true, force: true })
  })

  test('cuts off clients that send nothing, a header or a body too slowly', async () => {
    const silent = narrow.raw('')
    const slowHeader = narrow.raw('POST /classify HTTP/1.1\r\nHost: ', 'a')
    const slowBody = narrow.raw(header(100_000), 'a')
    expect(await Promise.all([silent, slowHeader, slowBody])).toEqual([[408], [408], [408]])
  })

  test.each([
    ['a body above the limit', () => new Uint8Array(10_000_001), 413],
    ['no image', () => new Uint8Array(1000), 400],
    ['no byte', () => new Uint8Array(0), 400],
    ['an image cut off', () => image.slice(0, image.length / 2), 400],
    ['an SVG bomb', () => new Uint8Array(svgBomb()), 400],
    ['an image of more than 25 million pixels', () => png(5001, 5000), 400],
  ])('refuses %s, and reports nothing of the machine', async (_, body, expected) => {
    const { status, text } = await server.post(await body())
    expect([status, Object.keys(JSON.parse(text))]).toEqual([expected, ['error']])
    expect(text).not.toMatch(internals)
  })

  test('classifies the file of a form as it classifies a body, and refuses a form without one or of many parts', async () => {
    const form = new FormData()
    form.append('comment', 'before the file')
    form.append('image', new Blob([image]), 'image.jpg')
    const [ofForm, ofBody] = [await server.post(form), await server.post(image)]
    expect([ofForm.status, ofForm.text]).toEqual([200, ofBody.text])
    const part = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    const forms = [part.repeat(190_000), part, `--b${'\r\n--'.repeat(2_000_000)}`, '']
    for (const text of forms) {
      const type = { 'content-type': 'multipart/form-data; boundary=b' }
      const { status, text: answer } = await server.post(new TextEncoder().encode(`${text}--b--\r\n`), type)
      expect([status, JSON.parse(answer).error]).toEqual([400, expect.stringContaining('Expected a file')])
    }
  })

  test('counts its answers for Prometheus', async () => {
    await server.post(image)
    const text = await server.get('/metrics')
    expect(Number(/^vggnet_answers_total\{status="200"\} (\d+)$/m.exec(text)?.[1])).toBe(server.received['200']! - 1)
    expect(text).toContain('vggnet_images_in_work 0')
    expect(await server.get('/healthz')).toBe('{"ok":true}\n')
  })

  test('refuses a body without a length above the limit, a header above the limit, and what is no request', async () => {
    let sent = 0
    const body = new ReadableStream({
      pull: (controller) => (sent++ < 12 ? controller.enqueue(new Uint8Array(1_000_000)) : controller.close()),
    })
    expect((await server.post(body)).status).toBe(413)
    expect(await server.raw(`GET /health HTTP/1.1\r\nHost: here\r\nA: ${'a'.repeat(9000)}\r\n\r\n`)).toEqual([431])
    expect(await server.raw('no request\r\n\r\n')).toEqual([400])
  })

  test('refuses with 503 and Retry-After what its queue has no room for, and answers the rest', async () => {
    const slow = await png(5000, 5000)
    const answers: Awaited<ReturnType<typeof server.post>>[] = []
    // a machine that stops between two requests may answer each in time: then there are more
    for (let round = 0; round < 20 && !answers.some(({ status }) => status === 503); round++)
      answers.push(...(await Promise.all(Array.from({ length: 8 }, () => narrow.post(slow)))))
    const refused = answers.filter(({ status }) => status === 503)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.map(({ headers }) => headers.get('retry-after'))).toEqual(refused.map(() => '1'))
    expect(answers.filter(({ status }) => status === 200).length).toBe(answers.length - refused.length)
    expect((await narrow.post(image)).status).toBe(200)
  })

  test('answers or refuses each request of a client that sends many without reading answers', async () => {
    const one = Buffer.concat([Buffer.from(header(image.length)), image])
    const last = Buffer.from('GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n')
    const before = server.resident()
    const statuses = await server.raw(Buffer.concat([...Array<Buffer>(pipelined).fill(one), last]))
    for (const status of statuses) server.receive(status)
    expect(statuses.filter((status) => status === 200 || status === 503).length).toBe(pipelined + 1)
    expect(server.resident()).toBeLessThan(before + 128)
  })

  test('serves a thousand connections', async () => {
    for (let round = 0; round < rounds; round++) await server.load(image, { connections: 1000, amount: 1000 })
  })

  test('loses no request of a load, and its memory stays flat, while other clients misbehave', async () => {
    const warm = { connections: 64, amount: 500 }
    const { duration: warmSeconds } = await server.load(image, warm)
    const before = server.resident()
    const amount = Math.max(warm.amount, Math.round((loadSeconds * warm.amount) / warmSeconds))
    let isLoaded = true
    const misbehave = async () => {
      while (isLoaded) {
        const aborted = server.open()
        aborted.write(header(100_000))
        aborted.write(new Uint8Array(50_000))
        await delay(20)
        aborted.destroy()
        expect((await server.post(new Uint8Array(100))).status).toBeOneOf([400, 503])
      }
    }
    const others = misbehave()
    const { latency, duration, refused } = await server.load(image, { connections: 64, amount })
    isLoaded = false
    await others
    const after = server.resident()
    console.log(
      `${amount} images of 320x240 in ${duration} s on 64 connections, ${refused} refused: ` +
        `median ${latency.p50} ms, 99th percentile ${latency.p99} ms, ` +
        `resident ${before.toFixed(0)} -> ${after.toFixed(0)} MB (${cpus()[0]?.model})`,
    )
    expect(after).toBeLessThan(1.25 * before + 32)
  })

  test('sends what it has accepted when SIGTERM ends it, and waits for no silent client', async () => {
    const silent = narrow.raw('')
    const client = async () => {
      // the connection is refused once the server has ended
      for (let isAlive = true; isAlive; ) isAlive = (await narrow.post(image).catch(() => undefined)) !== undefined
    }
    const clients = Array.from({ length: 16 }, client)
    while ((narrow.received['503'] ?? 0) < 100) await delay(5)
    const sent = await narrow.end()
    await Promise.all([...clients, silent])
    expect(sent).toEqual(narrow.received)
  })

  test('has sent every answer that it counts, and none of an error of its own', async () => {
    const { '503': refused = 0, ...sent } = await server.end()
    const { '503': received = 0, ...others } = server.received
    expect(sent).toEqual(others)
    expect(Object.keys(sent).filter((status) => !['200', '400', '413'].includes(status))).toEqual([])
    // an upload that was aborted may have been refused before
    expect(refused).toBeGreaterThanOrEqual(received)
  })
})
