// The AVX-512 instructions and the matrix unit (AMX) that the kernels use, number by number: so that kernels which this
// machine has not the instructions for are compiled, run and compared with the definition all the same. Slow, and part
// of no build but that of the tests, which include it before everything else. What the processor would refuse, such as
// a tile that is not configured, ends the program.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define NLRN_EMULATED

namespace emulated {

template <class To, class From>
To bits(const From& from) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

// The elements of a register
template <class T, int BYTES = 64>
struct Lanes {
    static constexpr int COUNT = BYTES / static_cast<int>(sizeof(T));
    T x[COUNT];

    template <class Register>
    static Lanes of(const Register& from) {
        return bits<Lanes>(from);
    }
    template <class Function>
    static Lanes make(Function function) {
        Lanes to;
        for (int i = 0; i < COUNT; i++) to.x[i] = function(i);
        return to;
    }
    template <class Register>
    Register as() const {
        return bits<Register>(*this);
    }
};

typedef Lanes<float> F32;
typedef Lanes<int32_t> I32;
typedef Lanes<uint32_t> U32;
typedef Lanes<int16_t> I16;
typedef Lanes<uint16_t> U16;
typedef Lanes<uint8_t> U8;
typedef Lanes<uint16_t, 32> HalfU16;

// what becomes of a result too small for a normal number, and of such a factor
inline float flushed(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }
inline float widened(uint16_t bf16) { return bits<float>(static_cast<uint32_t>(bf16) << 16); }
inline uint16_t narrowed(float x) { // to nearest even
    const uint32_t b = bits<uint32_t>(x);
    if (std::isnan(x)) return static_cast<uint16_t>(b >> 16 | 0x40);
    return static_cast<uint16_t>((bits<uint32_t>(flushed(x)) + 0x7fff + (b >> 16 & 1)) >> 16);
}
// the sum of two products, as both the vector instruction and the matrix unit take it
inline float added(float sum, uint16_t a0, uint16_t b0, uint16_t a1, uint16_t b1) {
    sum = flushed(std::fmaf(flushed(widened(a1)), flushed(widened(b1)), sum));
    return flushed(std::fmaf(flushed(widened(a0)), flushed(widened(b0)), sum));
}

inline __m512i set1_epi32(int32_t x) {
    return I32::make([&](int) { return x; }).as<__m512i>();
}
inline __m512i set1_epi16(int16_t x) {
    return I16::make([&](int) { return x; }).as<__m512i>();
}
inline __m512i setzero_si512() { return set1_epi32(0); }
inline __m512i load_si512(const void* p) {
    if (reinterpret_cast<uintptr_t>(p) % 64) std::abort();
    __m512i x;
    std::memcpy(&x, p, 64);
    return x;
}
inline __m512 loadu_ps(const void* p) {
    __m512 x;
    std::memcpy(&x, p, 64);
    return x;
}
template <class Register>
void storeu(void* p, const Register& x) {
    std::memcpy(p, &x, 64);
}
template <class Register>
void stream_ps(void* p, const Register& x) {
    if (reinterpret_cast<uintptr_t>(p) % 64) std::abort();
    std::memcpy(p, &x, 64);
}
inline __m512i broadcast_i32x4(__m128i x) {
    const auto from = bits<Lanes<uint32_t, 16>>(x);
    return U32::make([&](int i) { return from.x[i % 4]; }).as<__m512i>();
}
inline __m256i castsi512_si256(__m512i x) {
    const auto from = U16::of(x);
    return HalfU16::make([&](int i) { return from.x[i]; }).as<__m256i>();
}
inline __m256i extracti64x4_epi64(__m512i x, int half) {
    const auto from = U16::of(x);
    return HalfU16::make([&](int i) { return from.x[i + 16 * half]; }).as<__m256i>();
}

inline __m512i or_si512(__m512i a, __m512i b) {
    const auto x = U32::of(a), y = U32::of(b);
    return U32::make([&](int i) { return x.x[i] | y.x[i]; }).as<__m512i>();
}
inline __m512i slli_epi32(__m512i a, unsigned n) {
    const auto x = U32::of(a);
    return U32::make([&](int i) { return x.x[i] << n; }).as<__m512i>();
}
inline __m512i srli_epi32(__m512i a, unsigned n) {
    const auto x = U32::of(a);
    return U32::make([&](int i) { return x.x[i] >> n; }).as<__m512i>();
}
inline __m512i ternarylogic_epi32(__m512i a, __m512i b, __m512i c, int table) {
    const auto x = U32::of(a), y = U32::of(b), z = U32::of(c);
    return U32::make([&](int i) {
               uint32_t found = 0;
               for (int bit = 0; bit < 32; bit++) {
                   const int at = (x.x[i] >> bit & 1) << 2 | (y.x[i] >> bit & 1) << 1 | (z.x[i] >> bit & 1);
                   found |= static_cast<uint32_t>(table >> at & 1) << bit;
               }
               return found;
           })
        .as<__m512i>();
}
inline __m512i max_epi16(__m512i a, __m512i b) {
    const auto x = I16::of(a), y = I16::of(b);
    return I16::make([&](int i) { return std::max(x.x[i], y.x[i]); }).as<__m512i>();
}

inline __m512i packs_epi32(__m512i a, __m512i b) {
    const auto x = I32::of(a), y = I32::of(b);
    return I16::make([&](int i) { // quarter by quarter, four of a and four of b
               const int32_t from = (i % 8 < 4 ? x : y).x[i / 8 * 4 + i % 4];
               return static_cast<int16_t>(std::min(32767, std::max(-32768, from)));
           })
        .as<__m512i>();
}
inline __m512i permutexvar_epi16(__m512i index, __m512i a) {
    const auto at = U16::of(index), from = U16::of(a);
    return U16::make([&](int i) { return from.x[at.x[i] % 32]; }).as<__m512i>();
}
inline __m512i permutex2var_epi8(__m512i a, __m512i index, __m512i b) {
    const auto x = U8::of(a), y = U8::of(b), at = U8::of(index);
    return U8::make([&](int i) { return (at.x[i] & 64 ? y : x).x[at.x[i] & 63]; }).as<__m512i>();
}
inline __m512i shuffle_epi8(__m512i a, __m512i index) {
    const auto from = U8::of(a), at = U8::of(index);
    return U8::make([&](int i) {
               return static_cast<uint8_t>(at.x[i] & 128 ? 0 : from.x[i / 16 * 16 + (at.x[i] & 15)]);
           })
        .as<__m512i>();
}
inline __m512i cvtepu16_epi32(__m256i a) {
    const auto from = HalfU16::of(a);
    return U32::make([&](int i) { return static_cast<uint32_t>(from.x[i]); }).as<__m512i>();
}

template <class Register>
__m512i mask_cvtps_epi32(__m512i other, unsigned mask, const Register& a) {
    const auto from = F32::of(a);
    const auto behind = I32::of(other);
    return I32::make([&](int i) {
               if (!(mask >> i & 1)) return behind.x[i];
               const float x = std::nearbyint(from.x[i]);
               return x >= -0x1p31f && x < 0x1p31f ? static_cast<int32_t>(x) : INT32_MIN;
           })
        .template as<__m512i>();
}
template <class A, class B, class C>
A mask_max_ps(const A& other, unsigned mask, const B& a, const C& b) {
    const auto behind = F32::of(other), x = F32::of(a), y = F32::of(b);
    return F32::make([&](int i) { return !(mask >> i & 1) ? behind.x[i] : x.x[i] > y.x[i] ? x.x[i] : y.x[i]; })
        .template as<A>();
}
template <class A, class B>
unsigned cmp_ps_mask(const A& a, const B& b, int predicate) {
    const auto x = F32::of(a), y = F32::of(b);
    unsigned found = 0;
    for (int i = 0; i < 16; i++) {
        const bool unordered = std::isnan(x.x[i]) || std::isnan(y.x[i]);
        if (predicate == _CMP_UNORD_Q ? unordered : predicate == _CMP_NLE_UQ ? !(x.x[i] <= y.x[i]) : (std::abort(), 0))
            found |= 1u << i;
    }
    return found;
}
// its difference from the integer below; that of an infinite number is 0
template <class Register>
Register reduce_ps(const Register& a, int) {
    const auto x = F32::of(a);
    return F32::make([&](int i) { return std::isinf(x.x[i]) ? 0.0f : x.x[i] - std::floor(x.x[i]); }).template as<Register>();
}
template <class A, class B>
A scalef_ps(const A& a, const B& b) {
    const auto x = F32::of(a), y = F32::of(b);
    return F32::make([&](int i) {
               return std::isnan(y.x[i]) ? y.x[i] : flushed(x.x[i] * std::exp2(std::floor(std::max(-300.0f, y.x[i]))));
           })
        .template as<A>();
}
// in [1, 2), with the sign of the number
template <class Register>
Register getmant_ps(const Register& a, int, int) {
    const auto x = F32::of(a);
    return F32::make([&](int i) {
               int exponent;
               const bool normal = std::isfinite(x.x[i]) && x.x[i] != 0;
               return normal ? 2 * std::frexp(x.x[i], &exponent) : std::copysign(1.0f, x.x[i]);
           })
        .template as<Register>();
}
template <class Register>
Register getexp_ps(const Register& a) {
    const auto x = F32::of(a);
    return F32::make([&](int i) { return std::logb(x.x[i]); }).template as<Register>();
}

// numbers of 16 bits
inline __m512bh cvtne2ps_pbh(__m512 a, __m512 b) { // those of b first
    const auto x = F32::of(a), y = F32::of(b);
    return U16::make([&](int i) { return narrowed(i < 16 ? y.x[i] : x.x[i - 16]); }).as<__m512bh>();
}
inline __m256bh cvtneps_pbh(__m512 a) {
    const auto x = F32::of(a);
    return HalfU16::make([&](int i) { return narrowed(x.x[i]); }).as<__m256bh>();
}
template <class Register>
__m512 dpbf16_ps(const Register& sum, __m512bh a, __m512bh b) {
    const auto s = F32::of(sum);
    const auto x = U16::of(a), y = U16::of(b);
    return F32::make([&](int i) {
               return added(s.x[i], x.x[2 * i], y.x[2 * i], x.x[2 * i + 1], y.x[2 * i + 1]);
           })
        .template as<__m512>();
}
inline __m512 cvtph_ps(__m256i a) {
    const auto x = HalfU16::of(a);
    return F32::make([&](int i) { return _cvtsh_ss(x.x[i]); }).as<__m512>();
}
template <class Register>
__m256i cvtps_ph(const Register& a, int) {
    const auto x = F32::of(a);
    return HalfU16::make([&](int i) { return static_cast<uint16_t>(_cvtss_sh(x.x[i], 0)); }).template as<__m256i>();
}

}  // namespace emulated

#define _mm512_broadcast_i32x4 emulated::broadcast_i32x4
#define _mm512_castsi512_si256 emulated::castsi512_si256
#define _mm512_cmp_ps_mask emulated::cmp_ps_mask
#define _mm512_cvtepu16_epi32 emulated::cvtepu16_epi32
#define _mm512_cvtne2ps_pbh emulated::cvtne2ps_pbh
#define _mm512_cvtneps_pbh emulated::cvtneps_pbh
#define _mm512_cvtph_ps emulated::cvtph_ps
#undef _mm512_cvtps_ph
#define _mm512_cvtps_ph emulated::cvtps_ph
#define _mm512_dpbf16_ps emulated::dpbf16_ps
#undef _mm512_extracti64x4_epi64
#define _mm512_extracti64x4_epi64 emulated::extracti64x4_epi64
#define _mm512_getexp_ps emulated::getexp_ps
#undef _mm512_getmant_ps
#define _mm512_getmant_ps emulated::getmant_ps
#define _mm512_load_si512 emulated::load_si512
#define _mm512_loadu_ps emulated::loadu_ps
#define _mm512_mask_cvtps_epi32 emulated::mask_cvtps_epi32
#define _mm512_mask_max_ps emulated::mask_max_ps
#define _mm512_max_epi16 emulated::max_epi16
#define _mm512_or_si512 emulated::or_si512
#define _mm512_packs_epi32 emulated::packs_epi32
#define _mm512_permutex2var_epi8 emulated::permutex2var_epi8
#define _mm512_permutexvar_epi16 emulated::permutexvar_epi16
#undef _mm512_reduce_ps
#define _mm512_reduce_ps emulated::reduce_ps
#define _mm512_scalef_ps emulated::scalef_ps
#define _mm512_set1_epi16 emulated::set1_epi16
#define _mm512_set1_epi32 emulated::set1_epi32
#define _mm512_setzero_si512 emulated::setzero_si512
#define _mm512_shuffle_epi8 emulated::shuffle_epi8
#define _mm512_slli_epi32 emulated::slli_epi32
#define _mm512_srli_epi32 emulated::srli_epi32
#define _mm512_storeu_ps emulated::storeu
#define _mm512_storeu_si512 emulated::storeu
#define _mm512_stream_ps emulated::stream_ps
#undef _mm512_ternarylogic_epi32
#define _mm512_ternarylogic_epi32 emulated::ternarylogic_epi32

// The matrix unit: what native/amx.h has as instructions
namespace {

struct EmulatedTiles {
    bool configured = false;
    int rows[8] = {};
    alignas(64) float cells[8][16][16] = {};
};
thread_local EmulatedTiles unit;

inline bool may_use_tiles() { return true; }
inline void configure_tiles(const uint8_t (&rows)[8]) {
    unit = EmulatedTiles();
    unit.configured = true;
    std::copy(rows, rows + 8, unit.rows);
}
inline void release_tiles() { unit.configured = false; }

inline void need(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "the matrix unit would refuse this: %s\n", what);
    std::abort();
}
template <int T>
void zero_tile() {
    need(unit.configured, "no configuration");
    std::memset(unit.cells[T], 0, sizeof unit.cells[T]);
}
template <int T>
void load_tile(const float* from) {
    zero_tile<T>();
    std::memcpy(unit.cells[T], from, unit.rows[T] * 64);
}
template <int T>
void store_tile(float* to) {
    need(unit.configured, "no configuration");
    std::memcpy(to, unit.cells[T], unit.rows[T] * 64);
}
template <int C, int A, int B>
void multiply_tiles() {
    static_assert(C != A && C != B && A != B, "three tiles");
    need(unit.configured, "no configuration");
    need(unit.rows[A] == unit.rows[C] && unit.rows[B] == 16, "sizes that do not fit together");
    for (int i = 0; i < unit.rows[C]; i++) {
        const auto a = emulated::U16::of(unit.cells[A][i]);
        for (int k = 0; k < 16; k++) {
            const auto b = emulated::U16::of(unit.cells[B][k]);
            for (int j = 0; j < 16; j++) {
                float& c = unit.cells[C][i][j];
                c = emulated::added(c, a.x[2 * k], b.x[2 * j], a.x[2 * k + 1], b.x[2 * j + 1]);
            }
        }
    }
}

}  // namespace
