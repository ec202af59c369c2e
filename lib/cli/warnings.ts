/** Prints the warnings of vggnet as one line each on the standard error output; those of others as Node prints them. */
export function printWarnings(): void {
  const others = process.listeners('warning')
  process.removeAllListeners('warning')
  process.on('warning', (warning) => {
    if (warning.name.startsWith('Vgg')) console.error(`vggnet: ${warning.message}`)
    else for (const print of others) print(warning)
  })
}
