import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { newFolder } from '../setup/folder.js'
import { launch, mpis, type RankResult, train } from './launch.js'

const limit = 300_000

/** Losses and weights that differ by the order of sums only. */
function expectClose(results: readonly RankResult[], alone: RankResult | undefined): void {
  expect(results[0]?.steps.length).toBe(alone?.steps.length)
  for (const [index, step] of (alone?.steps ?? []).entries()) {
    const other = results[0]?.steps[index]
    expect(other).toMatchObject({ step: step.step, images: step.images, correct: step.correct })
    expect(Math.abs((other?.loss ?? 0) - step.loss) / step.loss).toBeLessThan(1e-6)
  }
  for (const [name, values] of Object.entries(alone?.weights ?? {})) {
    const others = results[0]?.weights?.[name] ?? []
    const norm = Math.hypot(...values)
    expect(others.length).toBe(values.length)
    const difference = Math.hypot(...values.map((value, index) => value - (others[index] ?? Number.NaN)))
    expect(difference / norm, name).toBeLessThan(1e-6)
  }
}

/** All ranks have the same steps and the same bits. */
function expectSame(results: readonly RankResult[], ranks: number): void {
  expect(results.map(({ rank, size }) => [rank, size])).toEqual(
    Array.from({ length: ranks }, (_, rank) => [rank, ranks]),
  )
  for (const { steps, hash } of results)
    expect({ steps, hash }).toEqual({ steps: results[0]?.steps, hash: results[0]?.hash })
}

// an uneven last batch of 7 images, of which one rank of four has one; augmentation, dropout, images that cannot be read
const asked = {
  images: 23,
  epochs: 4,
  shift: 2,
  flip: true,
  unreadable: [3, 17],
  weights: true,
  learningRate: 0.003,
  validates: true,
}

describe.each(mpis)('a group started by %s', (mpi) => {
  test(
    'trains as one process with micro-batches does, with the same bits on all ranks',
    async () => {
      const { results, code } = await train(mpi, 2, asked)
      expect(code).toBe(0)
      expectSame(results, 2)
      const [alone] = (await train(null, 1, { ...asked, microBatch: 4 })).results
      expectClose(results, alone)
      expect(results[0]?.skipped).toBe(2)
      expect(results.map(({ top1 }) => top1)).toEqual([alone?.top1, alone?.top1])
      expect(results[0]?.traffic?.sums).toBeGreaterThan(0)
    },
    limit,
  )

  test(
    'of one rank computes the same bits as without it',
    async () => {
      const { results, code } = await train(mpi, 1, asked)
      expect(code).toBe(0)
      const [alone] = (await train(null, 1, asked)).results
      expect(results[0]?.hash).toBe(alone?.hash)
      expect(results[0]?.steps).toEqual(alone?.steps)
    },
    limit,
  )

  test(
    'ends with one error on all ranks if one of them fails, and with its exit code',
    async () => {
      const { results, code } = await train(mpi, 2, { fail: [1, 2] })
      expect(results.map(({ message }) => message)).toEqual([
        expect.stringMatching(/^rank 1 on \S+: the test wants it$/),
        'the test wants it',
      ])
      expect(code).toBe(3)
    },
    limit,
  )

  test(
    'ends if a rank does not answer, and names it',
    async () => {
      const { results, code, seconds } = await train(mpi, 2, { hang: [1, 2] }, { VGGNET_GROUP_TIMEOUT: '5' })
      // a launcher may wake the other one to end it
      expect(results[0]).toMatchObject({
        code: 'GROUP_LOST',
        message: expect.stringMatching(/^rank 1 on \S+ is lost: it has not answered for \d+ s$/),
      })
      expect(code).not.toBe(0)
      expect(seconds).toBeGreaterThan(5)
    },
    limit,
  )
})

test(
  'four ranks, of which some have no images of the last batch',
  async () => {
    const { results, code } = await train('mpich', 4, { ...asked, images: 18 })
    expect(code).toBe(0)
    expectSame(results, 4)
    const [alone] = (await train(null, 1, { ...asked, images: 18, microBatch: 2 })).results
    expectClose(results, alone)
  },
  limit,
)

test(
  "a loop of one's own sums gradients in update; values are gathered, shared and summed; errors are those of all ranks",
  async () => {
    const { results, code, error } = await train('openmpi', 2, {}, {}, 'calls-program.mjs')
    expect({ code, error }).toMatchObject({ code: 0 })
    const [alone] = (await train(null, 1, {}, {}, 'calls-program.mjs')).results
    expectClose(results, alone)
    expect(results[1]?.weights).toEqual(results[0]?.weights)
    const tenth = Math.fround(0.1)
    for (const result of results) {
      expect(result).toMatchObject({
        sum: [2, 1, tenth + tenth],
        shared: { from: 0 },
        gathered: [
          [0, 0],
          [1, 2000],
        ],
      })
    }
    // rank 1 finds it before it computes
    const bad = results.map((result) => (result as RankResult & { bad: { code: string; message: string } }).bad)
    expect(bad[1]).toEqual(bad[0])
    expect(bad[0]).toEqual({ code: 'NOT_FINITE', message: expect.stringMatching(/^rank 1 on \S+: /) })
    const closed = results.map((result) => (result as RankResult & { closed: string[] }).closed)
    expect(closed).toEqual([
      ['STATE', 'STATE'],
      ['STATE', 'STATE'],
    ])
    const refused = results.map((result) => (result as RankResult & { refused: string }).refused)
    expect(refused).toEqual(['not today', 'rank 0: not today'])
  },
  limit,
)

test(
  'a rank that is killed is named by the others',
  async () => {
    // the launcher ends the other ranks too, unless it is told to leave them
    const { results, code } = await train(
      'openmpi',
      2,
      { kill: [0, 2] },
      { PRTE_MCA_prte_abort_on_non_zero_status: '0' },
    )
    expect(code).not.toBe(0)
    for (const { code: why, message } of results) {
      expect(why).toBe('GROUP_LOST')
      expect(message).toMatch(/^rank 0 on \S+ is lost: its process has ended$/)
    }
  },
  limit,
)

test(
  'ranks with other options are refused, by the name of the option',
  async () => {
    const { results, code } = await train('mpich', 2, { differs: { 1: { learningRate: 0.02 } } })
    const message =
      /^Expected the same training on rank 1 on \S+ as on rank 0 on \S+, but options learningRate is 0.02 and was 0.01$/
    for (const { code: why, message: text } of results) {
      expect(why).toBe('GROUP_MISMATCH')
      expect(text).toMatch(message)
    }
    expect(results.length).toBe(2)
    expect(code).toBe(3)
  },
  limit,
)

test(
  'all ranks stop after the same step; resumed on as many, the training ends with the same bytes',
  async () => {
    const [whole, folder] = [newFolder(), newFolder()]
    const options = { ...asked, weights: false, checkpoint: { folder: whole } }
    const uninterrupted = await train('mpich', 2, options)
    const stopped = await train('mpich', 2, { ...options, checkpoint: { folder }, stop: [1, 4] })
    expect(stopped.results.map(({ code }) => code)).toEqual(['ABORTED', 'ABORTED'])
    expectSame(stopped.results, 2)
    const steps = stopped.results[0]?.steps.length ?? 0
    expect(steps).toBeLessThan(uninterrupted.results[0]?.steps.length ?? 0)
    const from = path.join(folder, newest(folder))
    const other = await train(null, 1, { ...options, checkpoint: { folder }, from })
    expect(other.results[0]).toMatchObject({
      code: 'RESUME_MISMATCH',
      message: expect.stringContaining('network ranks is none and was 2'),
    })
    // it is another training, which leaves the folder as it is
    const accepted = await train(null, 1, {
      ...options,
      checkpoint: { folder: newFolder() },
      from,
      differences: 'accept',
    })
    expectClose(accepted.results, {
      ...(uninterrupted.results[0] as RankResult),
      steps: uninterrupted.results[0]?.steps.slice(steps) ?? [],
    })
    const resumed = await train('mpich', 2, { ...options, checkpoint: { folder }, from })
    expect(resumed.code).toBe(0)
    expect(readFileSync(path.join(folder, newest(folder)))).toEqual(readFileSync(path.join(whole, newest(whole))))
  },
  limit,
)

const newest = (folder: string): string =>
  readdirSync(folder)
    .filter((name) => name.startsWith('step-'))
    .sort()
    .at(-1) ?? ''

test(
  'a process whose connection to the launcher of MPICH was closed says how to start it',
  async () => {
    const code =
      "require('node:child_process').spawnSync(process.execPath, ['test/group/train-program.mjs', '{}'], { stdio: 'inherit' })"
    const { error } = await launch('mpich', 2, [process.execPath, '--eval', code])
    expect(error).toContain('GROUP_UNAVAILABLE')
    expect(error).toContain('mpirun -n 4 node_modules/.bin/vggnet')
  },
  limit,
)

test(
  "a library that cannot be loaded, or is another than the launcher's, is named",
  async () => {
    const none = await train('mpich', 2, {}, { VGGNET_MPI: '/nowhere/libmpi.so.12' })
    expect(none.error).toMatch(/MPI could not be loaded: \/nowhere\/libmpi\.so\.12: .*No such file/)
  },
  limit,
)
