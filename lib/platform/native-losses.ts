/** Arrays of a loss; x and target are of the shape n, c, h, w. They must not change until the promise is settled. */
export interface NativeLossCall {
  x: Float32Array
  shape: readonly number[]
  /** What the loss, and with it the gradient, is multiplied by. */
  factor: number
  /** Receives the gradient with respect to x. */
  gradient?: Float32Array
}

/** Arrays of a product of a linear classifier. They must not change until the promise is settled. */
export interface NativeLinearCall {
  /** n x columns x 1 x 1, as `shape` says. */
  x: Float32Array
  shape: readonly number[]
  factor: 1
  /** `count` indices of rows of x. */
  rows: Int32Array
  count: number
  outputs: number
  /** count x outputs. */
  values: Float64Array
}

/** Losses on the host. Each resolves with the loss. */
export interface NativeLosses {
  /** factor * sum (x - target)^2 */
  squaredError(call: NativeLossCall & { target: Float32Array }): Promise<number>
  /** Fills `gram`, n x c x c, with factor * x x^T. */
  gramMatrices(call: Omit<NativeLossCall, 'gradient'> & { gram: Float32Array }): Promise<number>
  /** factor * sum (gramFactor * x x^T - target)^2; target n x c x c. */
  gramError(call: NativeLossCall & { target: Float32Array; gramFactor: number }): Promise<number>
  /** factor * the sum over positions of the distance of LPIPS; `weights` for each channel, `map` n x h x w. */
  lpipsError(
    call: NativeLossCall & { target: Float32Array; weights: Float32Array; map?: Float32Array },
  ): Promise<number>
  /** factor * the sum of absolute differences of neighbours. */
  totalVariation(call: NativeLossCall): Promise<number>
  /** Fills `values` with x[rows] * weights^T; weights outputs x columns. */
  rowProducts(call: NativeLinearCall & { weights: Float64Array }): Promise<number>
  /** Adds values^T * x[rows] to `sums`, outputs x columns. */
  columnProducts(call: NativeLinearCall & { sums: Float64Array }): Promise<number>
}
