// node --import tsx failures.ts: makes small networks and steps them until three in a row have done so, at most forty.
// Prints how each ended: "done", or the code of its error.
import { VggError } from '../../../../lib/error.js'
import { smallBatch, smallNet } from '../../../network/small.js'

const { images, labels } = smallBatch(4)

async function attempt(): Promise<string> {
  try {
    const net = await smallNet({ device: 'cuda' })
    try {
      for (let i = 0; i < 3; i++) await net.step(images, labels, { learningRate: 0.01 })
    } finally {
      net.dispose()
    }
    return 'done'
  } catch (error) {
    if (error instanceof VggError) return error.code
    throw error
  }
}

const ends: string[] = []
const wentOn = () => ends.slice(-3).join() === 'done,done,done'
while (ends.length < 40 && !wentOn()) ends.push(await attempt())
process.stdout.write(`${JSON.stringify(ends)}\n`)
