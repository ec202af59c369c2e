// Reads image files at the same time, and prints for each the count of its bytes or its error, and the peak of memory.
// argv: files as JSON, options of readImage as JSON
import { readImage } from '../../lib/data/images/image.js'

const [files = '[]', options = '{}'] = process.argv.slice(2)
const size = { height: 64, width: 64, channels: 3 } as const
const found = await Promise.all(
  (JSON.parse(files) as string[]).map((file) =>
    readImage(file, size, JSON.parse(options)).then(
      (pixels) => ({ bytes: pixels.length }),
      ({ code, message }) => ({ code, message }),
    ),
  ),
)
const { maxRSS } = process.resourceUsage()
console.log(JSON.stringify({ found, peakMegabytes: maxRSS / 1024 }))
