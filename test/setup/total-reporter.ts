import type { Reporter, TestModule } from 'vitest/node'

interface Total {
  passed: number
  failed: number
  skipped: number
}

/** Counts the tests of finished modules; a module that failed before it had tests, and a stray error, fail once each. */
export function totalOf(modules: readonly TestModule[], strayErrors: number): Total {
  const total: Total = { passed: 0, failed: strayErrors, skipped: 0 }
  for (const module of modules) {
    let failedTests = 0
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed') total.passed++
      else if (state === 'failed') failedTests++
      else total.skipped++
    }
    total.failed += failedTests
    if (failedTests === 0 && module.state() === 'failed') total.failed++
  }
  return total
}

/** Ends the output with one line: `N passed, N failed, N skipped`. */
export class TotalReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const { passed, failed, skipped } = totalOf(modules, errors.length)
    // The reporters before this one print when the event loop turns; this line is to be the last.
    process.once('exit', () => console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`))
  }
}
