import { describe, expect, it } from 'vitest'
import { activationState, adviceFor, gradientState, type SignalState } from '../../lib/check/findings.js'

describe('the state of logits', () => {
  // rms, as measured; 'trains': whether the net of that measurement did
  it.each<{ net: string; rms: number; state: SignalState }>([
    { net: 'A, 0.01, full size, trains', rms: 1.0e-3, state: 'fine' },
    { net: 'D, 0.01, full size, does not', rms: 3.2e-6, state: 'dead' },
    { net: 'A, Glorot, full size, trains', rms: 1.42, state: 'fine' },
    { net: 'D, Glorot, full size, scaled, trains', rms: 0.22 / 58, state: 'fine' },
    { net: 'A, He, full size, not scaled', rms: 237, state: 'exploding' },
    { net: 'A, He, full size, scaled', rms: 237 / 58, state: 'fine' },
    { net: 'D, Glorot, narrow, learns within 211 steps', rms: 4.6e-4, state: 'fine' },
    { net: 'A, 0.01, half as wide, not in 300', rms: 4.9e-5, state: 'vanishing' },
    { net: 'A, 0.01, narrow, not in 300', rms: 2.9e-5, state: 'dead' },
    { net: 'A, Glorot, narrow, learns within 20', rms: 6.3, state: 'fine' },
    { net: 'A, He, narrow, falls back to ln(classes)', rms: 33, state: 'exploding' },
    { net: 'broken', rms: Number.NaN, state: 'exploding' },
  ])('is $state for $rms ($net)', ({ rms, state }) => {
    expect(activationState({ rms, deadChannels: 0 }, true)).toBe(state)
  })
})

describe('the state of other layers', () => {
  it('allows the outputs of trained weights on unscaled input', () => {
    expect(activationState({ rms: 3000, deadChannels: 0.1 }, false)).toBe('fine')
    expect(activationState({ rms: 1e8, deadChannels: 0 }, false)).toBe('exploding')
  })

  it('is dead where almost no channel fires, and not where half do', () => {
    expect(activationState({ rms: 1, deadChannels: 0.5 }, false)).toBe('fine')
    expect(activationState({ rms: 1, deadChannels: 0.95 }, false)).toBe('dead')
  })
})

describe('the state of gradients', () => {
  it.each<[number, SignalState]>([
    [1.5e-7, 'vanishing'],
    [1.3e-6, 'fine'],
    [0.1, 'fine'],
    [0.5, 'exploding'],
    [Number.POSITIVE_INFINITY, 'exploding'],
  ])('depends on the change by one step: %d of the weights is %s', (step, state) => {
    expect(gradientState(1, step)).toBe(state)
  })

  it('is dead for 0, and exploding where it is not finite', () => {
    expect(gradientState(0, 0)).toBe('dead')
    expect(gradientState(Number.NaN, 1e-3)).toBe('exploding')
  })
})

describe('the advice', () => {
  it.each([
    [
      'dead',
      { initialisation: 'paper', inputDeviation: 65, classes: 1000, unitScale: 1 / 65 },
      /stay at ln\(1000\) = 6\.9: use --initialisation glorot, or --plan paper-transplant/,
    ],
    [
      'dead',
      { initialisation: 'glorot', inputDeviation: 0.01, unitScale: 2.5, classes: 10 },
      /stay at ln\(10\) = 2\.3: .*0\.01.*--scale 2\.5$/,
    ],
    [
      'vanishing',
      { initialisation: 'glorot', inputDeviation: 1, unitScale: 1 / 65, classes: 10 },
      /--initialisation he/,
    ],
    [
      'exploding',
      { initialisation: 'he', inputDeviation: 65, unitScale: 1 / 65, classes: 10 },
      /standard deviation 65: use --scale 1\/58$/,
    ],
    [
      'exploding',
      { initialisation: 'he', inputDeviation: 1, unitScale: 1 / 65, classes: 10 },
      /--initialisation glorot/,
    ],
    [
      'exploding',
      { initialisation: 'glorot', inputDeviation: 1, unitScale: 0.02, classes: 10 },
      /^use --scale 0\.002$/,
    ],
    ['dead', { initialisation: 'he', inputDeviation: 1, unitScale: 0.02, classes: 10 }, /: use a greater --width$/],
    [
      'exploding',
      { initialisation: undefined, inputDeviation: 65, unitScale: 1 / 65, classes: 10 },
      /mean and scale that these weights/,
    ],
  ] as const)('for %s activations depends on the initialisation: %o', (state, context, words) => {
    expect(adviceFor(state, context)).toMatch(words)
  })
})
