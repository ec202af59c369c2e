import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkInherited, launchOf, librariesFor } from '../../lib/group/launcher.js'

describe('the launcher of this process', () => {
  test.each([
    [{}, undefined],
    [{ OMPI_COMM_WORLD_SIZE: '4' }, { kind: 'openmpi', size: 4 }],
    [
      { PMI_SIZE: '2', PMI_RANK: '1' },
      { kind: 'mpich', size: 2 },
    ],
    [
      { PMIX_RANK: '0', SLURM_NTASKS: '8' },
      { kind: 'openmpi', size: 8 },
    ],
    // a batch script of Slurm is no task of it
    [{ SLURM_NTASKS: '8' }, undefined],
    [{ OMPI_COMM_WORLD_SIZE: 'many', PMI_SIZE: '-1' }, undefined],
  ] as const)('%o', (env, expected) => {
    expect(launchOf(env)).toEqual(expected)
  })

  test('a closed connection to MPICH is refused; without one nothing is', () => {
    expect(() => checkInherited({})).not.toThrow()
    for (const PMI_FD of ['987', 'x'])
      expect(() => checkInherited({ PMI_FD })).toThrow(/^Expected the connection of MPICH's launcher at descriptor/)
  })

  test('a named library is the only one; others are names of the system at last', () => {
    expect(librariesFor('mpich', { VGGNET_MPI: '/opt/mpi.so' })).toEqual(['/opt/mpi.so'])
    const found = librariesFor('mpich', {})
    expect(found.slice(-2)).toEqual(['libmpi.so.12', 'libmpich.so.12'])
    expect(found.slice(0, -2).every((file) => path.isAbsolute(file))).toBe(true)
    expect(librariesFor('openmpi', {}).at(-1)).toBe('libmpi.so.40')
  })
})
