import { cudaLocations } from '../platform/cuda/locations.js'
import { tuningInForce } from '../platform/kept-tuning.js'
import { native } from '../platform/native.js'

/**
 * Makes native code ready for a device, before it is opened or planned for: where it may be the processor, the kept
 * tuning is put into force, and where it may be a card, the positions of CUDA's libraries are told.
 * @throws UNSUPPORTED_PLATFORM, NATIVE_LOAD_FAILED
 */
export function prepareDevice(device: string): void {
  if (!device.startsWith('cuda')) tuningInForce()
  if (device !== 'cpu') native().setCudaLocations(cudaLocations())
}
