import { cacheFolder } from '../../platform/wheels/cache.mjs'
import { removePins } from '../../platform/wheels/install.mjs'
import { cudaPins } from '../../platform/wheels/pins.mjs'
import { countedText } from '../../table.js'
import { stoppable } from '../terminal/stopping.js'
import { sizeText } from './progress.js'
import { withWheels } from './wheel-failure.js'

/** `vggnet cuda remove`. */
export async function removeCuda({ json }: { json?: true }): Promise<void> {
  const cache = cacheFolder(process.env)
  const onWaiting = (owner: number) => console.error(`waiting for process ${owner}, which installs`)
  const { removed, holders } = await stoppable(
    (signal) => withWheels(() => removePins(cache, cudaPins, { onWaiting, signal })),
    'what was not removed yet is there',
  )
  const bytes = removed.reduce((sum, one) => sum + one.bytes, 0)
  if (json) return console.log(JSON.stringify({ cache, bytes, removed, holders }, null, 2))
  if (removed.length === 0) return console.log(`There is nothing of NVIDIA's in ${cache}`)
  console.log(`Removed from ${cache}, ${sizeText(bytes)}:`)
  for (const one of removed) console.log(`  ${one.folder.slice(cache.length + 1)}  ${sizeText(one.bytes)}`)
  if (holders.length > 0) {
    const who = countedText(holders.length, 'process uses', 'processes use')
    console.log(`${who} them still (${holders.join(', ')}), unharmed: the space is free when that has ended`)
  }
}
