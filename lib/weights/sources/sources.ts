import type { Source } from './source.js'
import { torchvision } from './torchvision.js'

/** All sources. Of two that a file fits equally, the first is taken. */
export const sources: readonly Source[] = [torchvision]
