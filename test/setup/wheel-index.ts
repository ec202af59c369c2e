import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { SmallWheel } from './small-wheel.js'

/** How an index serves a wheel; what is left out it does as it should. */
export interface Manners {
  bytesPerSecond?: number
  /** Of each answer: after so many bytes the connection is cut, or nothing more comes. */
  cutAfter?: number
  stallAfter?: number
  ignoresRanges?: true
  /** The hash that its page gives; empty: none. */
  hash?: string
  status?: number
}

/** A package index that serves one wheel on this machine. */
export interface WheelIndex {
  manners: Manners
  /** Where each request for the wheel wanted to begin. */
  readonly starts: number[]
  /** Called at each request for the wheel, before it is answered. */
  onRequest: (start: number) => void
  readonly port: number
}

const step = 1 << 14

async function send(response: ServerResponse, bytes: Buffer, { bytesPerSecond, cutAfter, stallAfter }: Manners) {
  const end = Math.min(bytes.length, cutAfter ?? Infinity, stallAfter ?? Infinity)
  for (let at = 0; at < end && !response.destroyed; at += step) {
    const block = bytes.subarray(at, Math.min(end, at + step))
    if (!response.write(block))
      await Promise.race([new Promise((resolve) => response.once('drain', resolve)), pause(100)])
    if (bytesPerSecond) await pause((1000 * block.length) / bytesPerSecond)
  }
  if (end === bytes.length) response.end()
  else if (cutAfter !== undefined) response.destroy()
}

/** Starts an index of the wheel in `folder`; it ends with the test. */
export async function startIndex(folder: string, wheel: SmallWheel, manners: Manners = {}): Promise<WheelIndex> {
  const content = readFileSync(path.join(folder, wheel.file))
  const index = { manners, starts: [] as number[], onRequest: (_: number): void => undefined, port: 0 }
  const server = createServer((request, response) => {
    const { hash = wheel.sha256, status, ignoresRanges } = index.manners
    if (request.url?.includes('/simple/')) {
      response.setHeader('content-type', 'text/html')
      const fragment = hash && `#sha256=${hash}`
      return response.end(`<!DOCTYPE html><html><body><a href="/files/${wheel.file}${fragment}">${wheel.file}</a>`)
    }
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    index.starts.push(start)
    index.onRequest(start)
    if (status !== undefined) return response.writeHead(status).end()
    if (start === 0 || ignoresRanges) {
      response.writeHead(200, { 'content-length': content.length })
      return void send(response, content, index.manners)
    }
    if (start >= content.length) return response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end()
    const rest = content.subarray(start)
    const range = `bytes ${start}-${content.length - 1}/${content.length}`
    response.writeHead(206, { 'content-length': rest.length, 'content-range': range })
    return void send(response, rest, index.manners)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  index.port = (server.address() as AddressInfo).port
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return index
}

/** The environment in which pip knows this index only. */
export const pipOf = ({ port }: WheelIndex): Record<string, string> => ({
  PIP_CONFIG_FILE: '/dev/null',
  PIP_INDEX_URL: `http://127.0.0.1:${port}/simple/`,
  PIP_EXTRA_INDEX_URL: '',
  PIP_FIND_LINKS: '',
  PIP_NO_INDEX: '',
  HTTP_PROXY: '',
  http_proxy: '',
})
