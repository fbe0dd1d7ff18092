// Cells of one float: what the products of blocks.h are made of in float32. The same names for halves: pairs.h.
#pragma once

#include "vector.h"

// numbers in a cell of 32 bits
#define CELL 1

namespace {

INLINE Vector spread(const float* cell) { return broadcast(*cell); }
INLINE Vector multiply_add(Vector sum, Vector a, Vector b) { return sum + a * b; }

// 2^x for x <= 0, relative error 1e-7; exactly 0 below 2^-126.
INLINE Vector power_of_two(Vector x) {
    // adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits, here with the bias of the exponent
    const Vector magic = broadcast(12582912.0f + 127.0f);
    x = maximum(broadcast(-127.0f), x); // in this order NaN stays NaN
    const Vector shifted = x + magic;
    const Vector r = x - (shifted - magic);
    Vector y = broadcast(1.327793890e-03f);
    y = y * r + 9.675757641e-03f;
    y = y * r + 5.550709598e-02f;
    y = y * r + 2.402211434e-01f;
    y = y * r + 6.931469682e-01f;
    y = y * r + 1.000000073f;
    const Integers exponent = reinterpret_cast<Integers>(shifted) << 23;
    return y * reinterpret_cast<Vector>(exponent);
}

// Turns the logits in the lanes before `end` into weights, in place as cells: 2^(scale s - reference). Returns the
// sums of the weights.
INLINE Vector weigh(float* s, int64_t end, float scale, float reference) {
    Vector sums{};
    for (int64_t i = 0; i < end; i += LANES) {
        const Vector weight = power_of_two(load(s + i) * scale - reference);
        store(s + i, weight);
        sums += weight;
    }
    return sums;
}

// `channels` floats, times `factor`, as cells; `add`: to what is there
INLINE void write(const float* from, float factor, float* to, int64_t channels, bool add) {
    for (int64_t c = 0; c < channels; c += LANES) {
        const Vector x = load(from + c) * factor;
        store(to + c, add ? load(to + c) + x : x);
    }
}

// Floats from a map and to it, which holds floats
INLINE void widen(const char* from, float* to, int64_t count, bool) { std::memcpy(to, from, 4 * count); }
INLINE void narrow(const float* from, char* to, int64_t count, bool) { std::memcpy(to, from, 4 * count); }

// A number for each query and key of a tile, in the order in which the products read it: here the same for both
class Map {
    float* data; // [query][key]
    int64_t ld;

  public:
    Map(float* data, float*, int64_t ld) : data(data), ld(ld) {}
    const float* of_query(int64_t row) const { return data + row * ld; }

    template <int ROWS, int VECTORS>
    INLINE void keep(int64_t row, int64_t at, const Vector (&x)[ROWS][VECTORS]) const {
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) store(data + (row + i) * ld + at + j * LANES, x[i][j]);
    }
    void trim(int64_t, int64_t, int64_t, int64_t) const {}
};

}  // namespace
