// The softmax beside a busy matrix unit, which takes one of the two vector multipliers for itself: powers of two by
// integers and a table, where else six of nine instructions would be multiplications.
#pragma once

#include <cmath>

#include "packing.h"

namespace {

// Where the power of two of a number x is wanted, 128 x + 128 * 127 is rounded to an integer: in it stand, where a
// bf16 number has them, the exponent of 2^x and, in place of the mantissa, the fraction f of x. The mantissa is
// 2^f - 1, for which there are 128 values. Rounding x makes an error of 0.27 %, as much as rounding the power does.
constexpr float STEPS = 128.0f, BIAS = 127 * STEPS;

class Powers {
    __m512i low, high; // the table

  public:
    Powers() {
        alignas(64) uint8_t table[128];
        for (int f = 0; f < 128; f++)
            table[f] = static_cast<uint8_t>(std::lround(STEPS * (std::exp2(static_cast<float>(f) / STEPS) - 1)));
        low = _mm512_load_si512(table);
        high = _mm512_load_si512(table + 64);
    }

    // 2^((a - BIAS) / STEPS) and the same of b in cells, lane by lane; zeros where not some_a and some_b, where it
    // would be less than 2^-127, and for what is not a number. Too large ones become no number.
    INLINE Vector cells(Vector a, Vector b, unsigned some_a, unsigned some_b) const {
        const __m512i none = _mm512_set1_epi32(-(1 << 20)), mantissa = _mm512_set1_epi16(0x7f);
        alignas(64) static constexpr uint8_t in_turn[16] = {0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15};
        const __m512i order = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(in_turn)));
        const __m512i x = _mm512_packs_epi32(_mm512_mask_cvtps_epi32(none, static_cast<__mmask16>(some_a), a),
                                             _mm512_mask_cvtps_epi32(none, static_cast<__mmask16>(some_b), b));
        const __m512i positive = _mm512_max_epi16(x, _mm512_setzero_si512());
        const __m512i found = _mm512_permutex2var_epi8(low, positive, high);
        // mantissa ? found : positive
        const __m512i both = _mm512_ternarylogic_epi32(mantissa, found, positive, 0xca);
        return reinterpret_cast<Vector>(_mm512_shuffle_epi8(both, order));
    }
};

// log2, error 1e-6
INLINE Vector logarithm(Vector x) {
    const Vector f = _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src) - 1.0f;
    Vector y = broadcast(1.459875076e-02f);
    y = y * f - 7.592161209e-02f;
    y = y * f + 1.886540639e-01f;
    y = y * f - 3.214847648e-01f;
    y = y * f + 4.717224699e-01f;
    y = y * f - 7.202028408e-01f;
    y = y * f + 1.442633708e+00f;
    y = y * f + 8.110772376e-07f;
    return y + _mm512_getexp_ps(x);
}

}  // namespace
