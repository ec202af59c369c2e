import type { Command } from 'commander'
import pc from 'picocolors'
import { VggError } from '../../error.js'
import type { TriedC } from '../../probe/cross-validation.js'
import { readFeatures, type StoredFeatures } from '../../probe/feature-data.js'
import { saveProbe } from '../../probe/model.js'
import { type ProbeOptions, type ProbeProgress, probeTable } from '../../probe/options.js'
import { type ProbeAccuracy, type ProbeResult, probe } from '../../probe/probe.js'
import { readSamples } from '../../probe/samples.js'
import { countedText, countText, printable, tableLines } from '../../table.js'
import { percent } from '../../train/log.js'
import { addTable, file, given, numbers } from '../flags/flags.js'
import { classLines } from '../terminal/metrics.js'
import { print, printJson } from '../terminal/print.js'
import { waitingOn } from '../terminal/progress.js'

const examples = `
Fits a linear classifier with an L2 penalty to features of a frozen network. The
factor C is chosen by cross-validation on the rows for training; the results are
those on the rows that are held out. Rows without a class are left out.

--samples names a CSV file with the column 'path' and one or more of 'weight' (in
training), 'part' ('training' or 'validation') and 'stratum' (--split holds out
the same share of each class and stratum). It may be the list of images of
vggnet embed: other columns are ignored.

The exit code is 1 if the solver did not converge.

Examples:
  $ vggnet probe features.safetensors --standardise
  $ vggnet probe features.safetensors --classifier svm --c 0.001,0.01,0.1
  $ vggnet probe features.safetensors --samples cells.csv --seed 1 --out probe.safetensors
  $ vggnet probe training.safetensors --test other.safetensors --json`

interface Flags extends Pick<ProbeOptions, 'classifier' | 'standardise' | 'folds' | 'seed'> {
  c?: number[]
  split?: number
  samples?: string
  test?: string
  out?: string
  json?: true
}

/** Adds `vggnet probe`: linear classifiers of a file of features. */
export function addProbe(program: Command): void {
  const command = program
    .command('probe')
    .description('fit a linear classifier to features of images, and test it on others')
    .argument('<features>', 'file of features, as vggnet embed writes it', file)
  addTable(command, probeTable, { c: numbers })
    .option('--samples <file>', 'CSV file of weights, parts or strata of the images', file)
    .option('--test <features>', 'file of features of other images, which are held out (default: none)', file)
    .option('--out <file>', 'safetensors file for the classifier: weight, bias, mean, deviation', file)
    .option('--json', 'one JSON object: classifier, c, tried, converged, training, heldOut, unlabelled')
    .addHelpText('after', examples)
    .action(runProbe)
}

async function runProbe(features: string, flags: Flags): Promise<void> {
  const { classifier, standardise, c, folds, split: validation, seed } = flags
  const data = await readFeatures(features)
  const { heldOut, ...ofRows } = flags.samples === undefined ? {} : await readSamples(flags.samples, data.names)
  const test = flags.test === undefined ? undefined : await testFeatures(flags.test, data)
  const waiting = waitingOn(process.stderr)
  const options = given({ classifier, standardise, c, folds, validation, seed, heldOut, test })
  const onProgress = ({ done, of }: ProbeProgress) => waiting.update('fits', done, of)
  const found = await probe({ ...data, ...ofRows }, { ...options, onProgress }).finally(() => waiting.end())
  if (flags.out !== undefined) await saveProbe(flags.out, found.model)
  if (flags.json) printJson(jsonOf(found), 2)
  else print(lines(found, flags.out).join('\n'))
  if (!found.converged) process.exitCode = 1
}

/** Features of other images. @throws INVALID_ARGUMENT for those of another network, or computed in another way */
async function testFeatures(path: string, { description }: StoredFeatures): Promise<StoredFeatures> {
  const test = await readFeatures(path)
  const keyOf = ({ classNames: _, model: { sha256 }, ...rest }: typeof description) =>
    JSON.stringify({ ...rest, sha256 })
  if (keyOf(test.description) === keyOf(description)) return test
  const message = `Expected features of the same network and layers in ${path}, but they were computed in another way`
  throw new VggError('INVALID_ARGUMENT', message)
}

function jsonOf({ model, ...found }: ProbeResult) {
  const { classifier, c, classNames } = model
  return { classifier, c, classNames, ...found }
}

const columns = [
  { title: 'C', align: 'right' },
  { title: 'accuracy', align: 'right' },
  { title: 'folds', align: 'left' },
] as const

const triedRow = ({ c, accuracy, accuracies }: TriedC): string[] => [
  String(c),
  percent(accuracy),
  accuracies.map(percent).join(', '),
]

const sumLine = (title: string, { count, accuracy }: ProbeAccuracy): string =>
  `${title}: ${percent(accuracy)} of ${countedText(count, 'row')}`

function lines({ model, tried, converged, training, heldOut, unlabelled }: ProbeResult, out?: string): string[] {
  const ends = [tried[0]?.c, tried.at(-1)?.c]
  const name = model.classifier === 'svm' ? 'linear SVM (squared hinge)' : 'logistic regression'
  const notes = [
    ...(ends.includes(model.c) ? [`C is at an end of the values that were tried: try others with --c`] : []),
    ...(converged ? [] : ['the solver did not converge: try --standardise, or smaller values of --c']),
  ]
  return [
    ...(tried.length === 0 ? [] : [...tableLines(columns, tried.map(triedRow)), '']),
    `${name}, C = ${model.c}`,
    ...notes.map((text) => pc.yellow(text)),
    ...(unlabelled === 0 ? [] : [`${countText(unlabelled)} without a class left out`]),
    sumLine('training', training),
    ...(heldOut === undefined ? [] : [pc.bold(sumLine('held out', heldOut)), '', ...classLines(heldOut, 'rows')]),
    ...(out === undefined ? [] : ['', `wrote ${printable(out)}`]),
  ]
}
