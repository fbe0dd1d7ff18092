// The processor's matrix unit (Intel's AMX): eight registers, called tiles, of 16 rows of 64 bytes. A product of two
// tiles of bf16 numbers is added to a tile of floats:
//   c[i][j] += sum_k a[i][k] b[k][j]      i, j < 16, k < 32
// b comes with two numbers that follow one another along the sum side by side: [pair of k][j][2].
// In memory a tile is one piece of 1 KB here, so that it needs no more cache lines than it fills.
//
// These are the instructions, and nothing else: tests/native/emulation.h has the same functions in plain C++.
#pragma once

#if !defined(NLRN_EMULATED)

#include <sys/syscall.h>
#include <unistd.h>

#include "vector.h"

namespace {

// The kernel of the system lends the unit to those who ask, once for all threads.
inline bool may_use_tiles() {
    constexpr long REQUEST = 0x1023, TILE_DATA = 18;
    static const bool granted = syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
    return granted;
}

// Tiles of this thread, each of so many rows of 64 bytes
inline void configure_tiles(const uint8_t (&rows)[8]) {
    struct {
        uint8_t palette = 1, start = 0, none[14] = {};
        uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {};
    } all;
    static_assert(sizeof all == 64, "as the processor has it");
    std::memcpy(all.rows, rows, sizeof rows);
    asm volatile("ldtilecfg %0" ::"m"(all));
}
inline void release_tiles() { asm volatile("tilerelease"); }

// The compiler's own functions do not tell it that a load reads memory; it would move stores behind it.
template <int T>
INLINE void zero_tile() {
    asm volatile("tilezero %%tmm%c0" ::"i"(T));
}
template <int T>
INLINE void load_tile(const float* from) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(int64_t{64}), "i"(T) : "memory");
}
template <int T>
INLINE void store_tile(float* to) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(int64_t{64}), "i"(T) : "memory");
}
template <int C, int A, int B>
INLINE void multiply_tiles() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
}

}  // namespace

#endif
