// Vectors of LANES floats in the compiler's own vector language, so that one source serves every
// instruction set. The including file sets LANES (floats in a register), and BLOCK_ROWS x BLOCK_VECTORS, the
// block of accumulators that fits the register file.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

namespace {

typedef float Vector __attribute__((vector_size(LANES * 4), may_alias));
typedef float Unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(LANES * 4), may_alias));

INLINE Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
// the first `count` of them, and zeros
INLINE Vector load(const float* p, int64_t count) {
    if (count >= LANES) return load(p);
    Vector x{};
    std::memcpy(&x, p, count * sizeof(float));
    return x;
}
INLINE void store(float* p, Vector x) { *reinterpret_cast<Unaligned*>(p) = x; }
// x - 0 is x for every x, also for -0: the compiler turns it into a plain broadcast
INLINE Vector broadcast(float x) { return x - Vector{}; }
// b where either is NaN. The compiler does not recognise the comparison as this one instruction.
INLINE Vector maximum(Vector a, Vector b) {
#if LANES == 16 && defined(__AVX512F__)
    return _mm512_mask_max_ps(a, 0xffff, a, b);
#elif LANES == 8 && defined(__AVX__)
    return _mm256_max_ps(a, b);
#elif LANES == 4 && defined(__SSE__)
    return _mm_max_ps(a, b);
#else
    return a > b ? a : b;
#endif
}

typedef std::make_integer_sequence<int, LANES> Lanes;

template <int... LANE>
INLINE Integers numbers(std::integer_sequence<int, LANE...>) {
    return Integers{LANE...};
}
// 0, 1, 2 ...
INLINE Integers lanes() { return numbers(Lanes()); }

// The lanes of a and b, counted through, in a fixed order, so that the compiler can choose the shuffle
template <int... LANE>
INLINE Vector shuffle(Vector a, Vector b) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, LANE...);
#else
    return __builtin_shuffle(a, b, Integers{LANE...});
#endif
}
template <int HALF, int... LANE>
INLINE Vector swap_halves(Vector x, std::integer_sequence<int, LANE...>) {
    return shuffle<(LANE ^ HALF)...>(x, x);
}
// The lanes of a and b in turn, from the lane FIRST on
template <int FIRST, int... LANE>
INLINE Vector interleave(Vector a, Vector b, std::integer_sequence<int, LANE...>) {
    return shuffle<(FIRST + LANE / 2 + LANE % 2 * LANES)...>(a, b);
}

// `fold` of all lanes: folds the vector onto itself, half by half
template <int HALF = LANES / 2, class Fold>
INLINE float reduce(Vector x, Fold fold) {
    x = fold(x, swap_halves<HALF>(x, Lanes()));
    if constexpr (HALF > 1)
        return reduce<HALF / 2>(x, fold);
    else
        return x[0];
}
INLINE float sum(Vector x) {
    return reduce(x, [](Vector a, Vector b) { return a + b; });
}
INLINE float largest(Vector x) { return reduce(x, maximum); }

// Transposes a square of LANES vectors in place: interleaving the halves log2(LANES) times.
INLINE void transpose(Vector (&x)[LANES]) {
#pragma GCC unroll 4
    for (int stage = 1; stage < LANES; stage *= 2) {
        Vector y[LANES];
#pragma GCC unroll 16
        for (int i = 0; i < LANES / 2; i++) {
            y[2 * i] = interleave<0>(x[i], x[i + LANES / 2], Lanes());
            y[2 * i + 1] = interleave<LANES / 2>(x[i], x[i + LANES / 2], Lanes());
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) x[i] = y[i];
    }
}

// While it lives, results too small for a normal float become zero: denormals cost a factor of three.
class FlushDenormals {
#if defined(__SSE2__)
    unsigned saved = _mm_getcsr();

  public:
    FlushDenormals() { _mm_setcsr(saved | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(saved); }
#elif defined(__aarch64__)
    uint64_t saved;

  public:
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(saved));
        asm volatile("msr fpcr, %0" ::"r"(saved | (1 << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved)); }
#endif
};

}  // namespace
