/** Plain data in which one value is replaced, removed or added. */
export interface Mutation {
  /** Keys from the root to the value. */
  readonly path: readonly string[]
  /** What was done: `= null`, `removed`, `added`. */
  readonly change: string
  readonly mutated: unknown
}

const replacements: readonly unknown[] = [null, true, -1, 1e308, '', 'x', [], [[null]], {}]

/** A copy of plain data in which the object of the last key is changed. */
function changed(value: object, path: readonly string[], change: (of: object, key: string) => unknown): object {
  const copy = structuredClone(value)
  let of: object = copy
  for (const key of path.slice(0, -1)) of = Reflect.get(of, key) as object
  change(of, path.at(-1) ?? '')
  return copy
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** Each value of plain data replaced by many others, and removed; and an unknown key added to each object. */
export function* mutationsOf(value: object, path: readonly string[] = [], part = value): Generator<Mutation> {
  if (!Array.isArray(part)) {
    const added = [...path, 'unknown']
    yield { path: added, change: 'added', mutated: changed(value, added, (of, key) => Reflect.set(of, key, 1)) }
  }
  for (const [key, inner] of Object.entries(part)) {
    const own = [...path, key]
    for (const other of replacements) {
      const mutated = changed(value, own, (of) => Reflect.set(of, key, other))
      yield { path: own, change: `= ${JSON.stringify(other)}`, mutated }
    }
    yield { path: own, change: 'removed', mutated: changed(value, own, Reflect.deleteProperty) }
    if (isObject(inner)) yield* mutationsOf(value, own, inner)
  }
}
