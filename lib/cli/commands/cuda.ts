import { type Command, Option } from 'commander'
import { type InstallFlags, installCuda } from '../cuda/install.js'
import { removeCuda } from '../cuda/remove.js'
import { showCuda } from '../cuda/status.js'
import { file } from '../flags/flags.js'

const installing = `
Fetches cuDNN, cuBLASLt and NVRTC (879 MB; 1.04 GB unpacked) through pip, by its own settings (PIP_INDEX_URL, PIP_CERT,
HTTPS_PROXY, pip.conf), into the per-user cache: $VGGNET_CACHE, or $XDG_CACHE_HOME/vggnet, or ~/.cache/vggnet. No root.
Python runs isolated (-I, in the root folder): nothing of the working folder, the cache, PYTHONPATH or ~/.local is
imported. Each file is checked by its SHA-256. What is there is not fetched again; after Ctrl-C or a cut connection
the next install goes on where this one stopped.

Examples:
  $ vggnet cuda install
  $ vggnet cuda install --manual          # without Python or a network: which files to put where
  $ vggnet cuda install --from wheels     # from wheels that lie in a folder; needs no Python`

const status = `
The exit code is 0 where all that computing on a card needs of NVIDIA's libraries is there, otherwise 1.

Examples:
  $ vggnet cuda status
  $ vggnet cuda status --json`

const removing = `
Removes from the per-user cache what 'cuda install' (or 'npm run build:cuda' in a checkout) has fetched, in any version,
whole or in part, and nothing else. Processes that use the libraries go on.

Examples:
  $ vggnet cuda remove`

/** `vggnet cuda`: NVIDIA's libraries, which the package does not bring. */
export function addCuda(program: Command): void {
  const cuda = program.command('cuda').description("NVIDIA's libraries: fetch them, show what is there, remove them")
  cuda
    .command('install')
    .description("fetch NVIDIA's libraries into the per-user cache")
    .option('--from <folder>', 'take the wheels from a folder', file)
    .addOption(new Option('--manual', 'say which files to put where, and fetch nothing').conflicts('from'))
    .option('--json', 'one JSON object')
    .addHelpText('after', installing)
    .action((flags: InstallFlags) => installCuda(flags))
  cuda
    .command('status')
    .description("show NVIDIA's libraries: versions, positions, what is missing")
    .option('--json', 'one JSON object')
    .addHelpText('after', status)
    .action((flags: { json?: true }) => showCuda(flags))
  cuda
    .command('remove')
    .description("remove what 'cuda install' has fetched")
    .option('--json', 'one JSON object')
    .addHelpText('after', removing)
    .action((flags: { json?: true }) => removeCuda(flags))
}
