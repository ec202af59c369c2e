// A process that makes a cache and reads from it: prints what it found and the hash of some images.
import { createHash } from 'node:crypto'
import { cachedDataset } from '../../lib/data/cache/cache.js'

const { list, options } = JSON.parse(process.argv[2] ?? '')
const data = cachedDataset({ ...list, labels: Int32Array.from(list.labels) }, options)
const report = await data.prepare()
const indices = Int32Array.from({ length: 100 }, (_, index) => (index * 11) % data.count)
const pixels = new Uint8Array(indices.length * data.height * data.width * data.channels)
await data.read(indices, pixels)
console.log(JSON.stringify({ ...report, hash: createHash('sha256').update(pixels).digest('hex') }))
