import { chmodSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { newFolder } from './folder.js'

/** A folder with a python3 whose pip has other internals than the program of lib/platform/wheels knows. */
export function unknownPip(): string {
  const folder = newFolder()
  const file = path.join(folder, 'python3')
  const shim = `#!/bin/sh
PATH=${JSON.stringify(process.env.PATH)}
if [ "$1 $2" = "-I -c" ]; then
  program="import sys; sys.modules['pip._internal.cli.cmdoptions'] = None
$3"
  shift 3
  exec python3 -I -c "$program" "$@"
fi
exec python3 "$@"
`
  writeFileSync(file, shim)
  chmodSync(file, 0o755)
  return folder
}
