// node --import tsx cards.ts: prints the device that 'auto' is, and what the report of CUDA says of each card.
import { native } from '../../../../lib/platform/native.js'
import { smallNet } from '../../../network/small.js'

const net = await smallNet({ device: 'auto' })
const cards = native()
  .cudaReport()
  .cards.map(({ device, freeBytes }) => ({ device, hasMemory: freeBytes > 0 }))
process.stdout.write(`${JSON.stringify({ device: net.device, cards })}\n`)
net.dispose()
