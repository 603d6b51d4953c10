// Include before <hwy/highway.h>: the processors that vector code is compiled for. AVX2 and one
// level below it are enough: AVX-512 was slower for the transforms here, and every further target
// is compile time. What is compiled: AVX2, SSE4.1 and plain C++ on x86-64; NEON on ARM.
#pragma once

#define HWY_DISABLED_TARGETS \
  (HWY_AVX3 | HWY_AVX3_DL | HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
