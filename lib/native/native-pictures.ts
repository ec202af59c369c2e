// The types below mirror native/addon/photograph.cpp; every promise is settled by a thread of libuv's pool.

/** A cut out of a rescaled picture. */
export interface NativeCut {
  /** The picture as it is. */
  source: { readonly height: number; readonly width: number }
  /** Rescaled, and the first row and column of the cut. */
  view: { readonly height: number; readonly width: number; readonly top: number; readonly left: number }
  cut: { readonly height: number; readonly width: number; readonly channels: 1 | 3 }
  /** Of the cut's bytes; written to at the end only, on the thread of the caller. */
  into: Uint8Array
}

/** Pixels are uint8, height x width x channels. */
export interface NativePictures {
  /**
   * Of an 8-bit JPEG in grey, or in colours for a cut of 3 channels. Neither its orientation nor its profile is looked
   * at. Rejects with FILE_FORMAT where libjpeg-turbo finds anything wrong, be it a warning.
   */
  decodeJpeg(call: NativeCut & { bytes: Uint8Array }): Promise<void>
  /** The pixels must stay as they are until the promise is settled. */
  rescale(call: NativeCut & { pixels: Uint8Array }): Promise<void>
}
