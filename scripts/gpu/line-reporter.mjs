import path from 'node:path'
import { addFinding } from './finding.mjs'

const root = path.resolve(import.meta.dirname, '../..')
const firstLines = (error) => String(error?.message ?? error).slice(0, 600)

/** vitest's findings as soon as they are known: a time limit loses none. */
export class LineReporter {
  onTestCaseResult(test) {
    const { state, errors } = test.result()
    const { duration = 0 } = test.diagnostic() ?? {}
    addFinding({
      file: path.relative(root, test.module.moduleId),
      name: test.fullName,
      state,
      ms: Math.round(duration),
      ...(errors?.length && { error: firstLines(errors[0]) }),
    })
    if (state === 'failed')
      console.log(`x ${test.fullName}\n${errors?.map((error) => error.stack ?? error).join('\n')}`)
  }

  /** A module that does not load has no tests to fail. */
  onTestModuleEnd(module) {
    const file = path.relative(root, module.moduleId)
    for (const error of module.errors())
      addFinding({ file, name: '', state: 'failed', ms: 0, error: firstLines(error) })
  }

  onTestRunEnd(_modules, errors) {
    for (const error of errors)
      addFinding({ file: '', name: 'stray error', state: 'failed', ms: 0, error: firstLines(error) })
  }
}
