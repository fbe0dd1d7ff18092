// Cells of two bf16 numbers that follow one another along a sum: the processor multiplies both and adds the products
// to one float. The same names for single floats: single.h.
#pragma once

#include "vector.h"

// numbers in a cell of 32 bits
#define CELL 2

namespace {

INLINE Vector spread(const float* cell) {
    int32_t bits;
    std::memcpy(&bits, cell, sizeof bits);
    return reinterpret_cast<Vector>(_mm512_set1_epi32(bits));
}
INLINE Vector multiply_add(Vector sum, Vector a, Vector b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

// 2^x for x <= 0, relative error 8e-5, a twentieth of what rounding to bf16 adds; exactly 0 below 2^-126.
INLINE Vector power_of_two(Vector x) {
    const Vector r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); // from the integer below
    Vector y = broadcast(7.802452e-02f);
    y = y * r + 2.260672e-01f;
    y = y * r + 6.958335e-01f;
    y = y * r + 9.999252e-01f;
    return _mm512_scalef_ps(y, x);
}

// Two vectors rounded to nearest even: the numbers of a, then those of b
INLINE __m512i rounded(Vector a, Vector b) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a)); }
// A vector rounded to nearest even, half as long
INLINE void store_rounded(float* to, Vector x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}
// The way back, exactly
INLINE Vector widened(const void* from) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
    return reinterpret_cast<Vector>(_mm512_slli_epi32(wide, 16));
}

// Turns the logits in the lanes before `end` into weights, in place as cells: 2^(scale s - reference). Returns the
// sums of the rounded weights. The numbers behind `end`, up to a whole register, become zero.
INLINE Vector weigh(float* s, int64_t end, float scale, float reference) {
    const __m512bh ones = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80));
    store(s + (end + LANES - 1) / LANES * LANES, broadcast(-__builtin_inff()));
    Vector sums{};
    for (int64_t i = 0; i < end; i += 2 * LANES) {
        const __m512i weights = rounded(power_of_two(load(s + i) * scale - reference),
                                        power_of_two(load(s + i + LANES) * scale - reference));
        _mm512_storeu_si512(s + i / 2, weights);
        sums = _mm512_dpbf16_ps(sums, reinterpret_cast<__m512bh>(weights), ones);
    }
    return sums;
}

// `channels` floats, times `factor`, as cells; `add`: to what is there
INLINE void write(const float* from, float factor, float* to, int64_t channels, bool add) {
    for (int64_t c = 0; c < channels; c += LANES, to += LANES / 2) {
        const Vector x = load(from + c) * factor;
        store_rounded(to, add ? widened(to) + x : x);
    }
}

// The channels of two pixels side by side, one pair of them to a cell
INLINE void pair_up(const float* a, const float* b, float* to, int64_t channels) {
    const auto wide = [](const float* cells) {
        return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(cells)));
    };
    for (int64_t c = 0; c < channels; c += LANES)
        _mm512_storeu_si512(to + c, _mm512_or_si512(wide(a + c / 2), _mm512_slli_epi32(wide(b + c / 2), 16)));
}

// Floats from a map and to it: of logits it holds IEEE halves, as bf16 would keep too little of a sum of many; of their
// gradients bf16, as halves would lose the small ones
INLINE void widen(const char* from, float* to, int64_t count, bool gradients) {
    for (int64_t i = 0; i < count; i += LANES) {
        const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 2 * i));
        store(to + i, gradients ? widened(from + 2 * i) : _mm512_cvtph_ps(x));
    }
}
INLINE void narrow(const float* from, char* to, int64_t count, bool gradients) {
    for (int64_t i = 0; i < count; i += LANES) {
        const __m512 x = _mm512_loadu_ps(from + i);
        const __m256i rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * i),
                            gradients ? rounded : _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    }
}

// A number for each query and key of a tile, in the order in which the products read it
class Map {
    float* for_scatter; // [pair of queries][key]
    float* for_gather;  // [query][pair of keys], or null where no one reads it
    int64_t ld;         // of pairs of queries; that of the queries is half of it

  public:
    Map(float* for_scatter, float* for_gather, int64_t ld)
        : for_scatter(for_scatter), for_gather(for_gather), ld(ld) {}
    const float* of_query(int64_t row) const { return for_gather + row * (ld / 2); }

    template <int ROWS, int VECTORS>
    INLINE void keep(int64_t row, int64_t at, const Vector (&x)[ROWS][VECTORS]) const {
        alignas(64) static constexpr int16_t in_turn[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                            21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                            11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
        const __m512i order = _mm512_load_si512(in_turn);
#pragma GCC unroll 8
        for (int i = 0; i + 1 < ROWS; i += 2)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) {
                const __m512i two = rounded(x[i][j], x[i + 1][j]);
                _mm512_storeu_si512(for_scatter + (row + i) / 2 * ld + at + j * LANES,
                                    _mm512_permutexvar_epi16(order, two));
                if (for_gather) {
                    float* to = for_gather + (row + i) * (ld / 2) + (at + j * LANES) / 2;
                    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(two));
                    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + ld / 2), _mm512_extracti64x4_epi64(two, 1));
                }
            }
    }
    // Makes zero what stands in the first and last pairs of keys beside the keys from `begin` to `end`
    void trim(int64_t row, int64_t rows, int64_t begin, int64_t end) const {
        char* numbers = reinterpret_cast<char*>(for_gather + row * (ld / 2));
        for (int64_t i = 0; i < rows; i++, numbers += 2 * ld) {
            if (begin % 2) std::memset(numbers + 2 * (begin - 1), 0, 2);
            if (end % 2) std::memset(numbers + 2 * end, 0, 2);
        }
    }
};

}  // namespace
