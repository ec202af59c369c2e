import { existsSync } from 'node:fs'
import { cacheFolder, folderOf } from '../../lib/platform/wheels/cache.mjs'
import { installPin, pipSource } from '../../lib/platform/wheels/install.mjs'
import { pins, wheelBytes } from '../../lib/platform/wheels/pins.mjs'
import { checkPrivate } from '../../lib/platform/wheels/private.mjs'
import { announce } from './command.mjs'

/**
 * Returns the folder of a pin in the cache, after fetching the pin if it is missing.
 * @param {keyof typeof pins} name
 */
export async function fetched(name) {
  const cache = cacheFolder()
  const pin = pins[name]
  const folder = folderOf(cache, name, pin)
  checkPrivate(cache)
  if (existsSync(folder)) return folder
  const megabytes = Math.ceil(wheelBytes(pin) / 1e6)
  return announce(`${pin.title} (${megabytes} MB, once per user)`, () =>
    installPin({ cache, name, pin, source: pipSource(cache) }),
  )
}
