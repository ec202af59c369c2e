// node run-program.mjs FOLDER: creates the run that FOLDER/description.json describes in FOLDER/run, or continues it, to its end.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { readRunFile } from '../../dist/run/folder.js'
import { createRun, runAll } from '../../dist/run/run.js'

const folder = process.argv[2]
const run = path.join(folder, 'run')
const description = JSON.parse(readFileSync(path.join(folder, 'description.json'), 'utf8'))
console.log('ready')
const file = existsSync(path.join(run, 'run.json'))
  ? await readRunFile(run)
  : await createRun(run, { format: 1, vggnet: '0.1.0', description })
await runAll(run, file, {
  onNotice: (text) => console.log(text),
  onStart: () => console.log('starting'),
})
