// The packages of the lock file, as the registry knows them: vulnerabilities and signatures. Skipped without the network.
import { execFile } from 'node:child_process'
import { expect, test } from 'vitest'
import { root } from '../setup/command.js'

/** `npm audit`, without waiting long for a registry that does not answer. */
function audit(...words: string[]): Promise<{ failed: boolean; stdout: string; stderr: string }> {
  const all = ['audit', ...words, '--fetch-retries=0', '--fetch-timeout=30000']
  return new Promise((resolve) => {
    execFile('npm', all, { cwd: root }, (error, stdout, stderr) => resolve({ failed: error !== null, stdout, stderr }))
  })
}

interface Report {
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string }>>
  /** Why the registry gave no answer. */
  readonly message?: string
}

test.for([
  { packages: 'that users install', words: ['--omit=dev'], refused: /./ },
  { packages: 'of the tests and builds', words: [], refused: /high|critical/ },
])('the packages $packages have no known vulnerability', async ({ words, refused }, { skip }) => {
  const { stdout } = await audit('--json', ...words)
  const { vulnerabilities, message }: Report = JSON.parse(stdout)
  if (vulnerabilities === undefined) return skip(`the registry's advisories cannot be reached: ${message}`)
  const found = Object.entries(vulnerabilities).filter(([, { severity }]) => refused.test(severity))
  expect(found).toEqual([])
})

test('the packages are signed by their registry', async ({ skip }) => {
  const { failed, stdout, stderr } = await audit('signatures')
  if (/ENOTFOUND|ECONN|ETIMEDOUT|network|40[0-9] /.test(stderr)) return skip("the registry's keys cannot be reached")
  expect(failed, `${stdout}${stderr}`).toBe(false)
})
