#pragma once
// The part of TurboJPEG's interface (libjpeg-turbo 3.1) that decoding takes, written down here because the package that
// brings the library brings no header. The numbers are the library's: its interface is stable, and CMakeLists.txt checks
// its version.
#include <cstddef>

namespace vggnet::turbojpeg {

enum Purpose : int { kDecompress = 1 };

enum Parameter : int { kStopOnWarning = 0, kSubsampling = 4, kWidth = 5, kHeight = 6, kScanLimit = 13, kMaxMegabytes = 23 };

// What kSubsampling answers; -1: none of the known ones.
enum Subsampling : int { k444 = 0, k422 = 1, k420 = 2, kGrey = 3, k440 = 4 };

enum PixelFormat : int { kRgb = 0, kGreyPixels = 6 };

struct ScalingFactor {
  int numerator, denominator;
};

// Of the scaled image; x in whole steps of the scaled iMCU.
struct Region {
  int x, y, width, height;
};

extern "C" {
void* tj3Init(int purpose);
void tj3Destroy(void* handle);
char* tj3GetErrorStr(void* handle);
int tj3Set(void* handle, int parameter, int value);
int tj3Get(void* handle, int parameter);
int tj3DecompressHeader(void* handle, const unsigned char* bytes, size_t size);
int tj3SetScalingFactor(void* handle, ScalingFactor);
int tj3SetCroppingRegion(void* handle, Region);
int tj3Decompress8(void* handle, const unsigned char* bytes, size_t size, unsigned char* into, int row_bytes,
                   int pixel_format);
}

}  // namespace vggnet::turbojpeg
