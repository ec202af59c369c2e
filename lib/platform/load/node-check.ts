// The first that is imported: what comes after may use what an older Node lacks.
import { VggError } from '../../error.js'
import { nodeObstacle } from './node-floor.js'

const obstacle = nodeObstacle(process.versions.node, process.execPath)
if (obstacle !== '') throw new VggError('UNSUPPORTED_PLATFORM', obstacle)
