// An HTTP server that classifies images. Concurrent requests are computed as one batch on the network's thread, so the
// event loop is not blocked. curl --data-binary @seven.png http://127.0.0.1:8080/classify
// Run: npx tsx examples/server.ts [--port 8080] [--model FILE]   (Node 22.18 and later: node examples/server.ts)
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { VggError } from 'vggnet'
import { Classifier } from './classifier.ts'
import { command, wholeNumber } from './command.ts'
import { digitModel } from './digit-model.ts'

const usage = `server.ts [--port N] [--batch N] [--model FILE]
  --port N      port; 0 for any free one (default 8080)
  --batch N     largest number of images in a batch (default 32)
  --model FILE  a model, such as demo-output/digits.safetensors (default: trains one on 0 to 4)`

const largestBytes = 20_000_000

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request) {
    bytes += part.length
    if (bytes > largestBytes)
      throw new VggError('INVALID_ARGUMENT', `Expected at most ${largestBytes} bytes for an image`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

async function answer(request: IncomingMessage, response: ServerResponse, classifier: Classifier): Promise<void> {
  const send = (status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
  try {
    if (request.method === 'GET' && request.url === '/health') send(200, { ok: true })
    else if (request.method !== 'POST' || request.url !== '/classify')
      send(404, { error: 'POST an image to /classify' })
    else send(200, await classifier.classify(await bodyOf(request)))
  } catch (error) {
    const status = error instanceof VggError && /^(FILE_FORMAT|INVALID_ARGUMENT)$/.test(error.code) ? 400 : 500
    send(status, { error: error instanceof Error ? error.message : String(error) })
  }
}

await command(usage, { port: '8080', batch: '32', model: '' }, async (flags) => {
  const port = wholeNumber(flags.port, 'port', [0, 65535])
  const batch = wholeNumber(flags.batch, 'batch', [1, 1024])
  const net = await digitModel(flags.model)
  const classifier = new Classifier(net, batch)
  const server = createServer((request, response) => void answer(request, response, classifier))
  server.on('error', (error) => {
    console.error(error.message)
    process.exit(1)
  })
  server.listen(port, '127.0.0.1', () =>
    console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`),
  )
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close(() => net.dispose()))
})
