// The three matrix products of attention, each on a block of accumulators held in registers:
//   logits   S[query][key]  = bias + sum_d q[query][d] k[d][key]      keys along the lanes
//   gather   O[query][c]   += sum_key P[query][key] v[key][c]         channels along the lanes
//   scatter  dV[key][c]    += sum_query P[query][key] dO[query][c]    channels along the lanes
// What is multiplied comes in cells of 32 bits, which hold CELL numbers that follow one another along the sum: one
// float (single.h) or two halves (pairs.h). Accumulators are floats.
// Sizes that do not fill a block have their own instance of the template, chosen from a table.
#pragma once

#if defined(PAIRS)
#include "pairs.h"
#else
#include "single.h"
#endif

namespace {

// Logits are kept as they are, their weights are powers of two
constexpr float LOG2_E = 1.44269504088896340736f;

// acc[i][j] += sum_d a[i][d] b[d][j]
template <int ROWS, int VECTORS>
INLINE void multiply(const float* const* rows, const float* b, int64_t ldb, int64_t depth,
                     Vector (&acc)[ROWS][VECTORS]) {
    const float* a[ROWS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) a[i] = rows[i];
    for (int64_t d = 0; d < depth; d++, b += ldb) {
        Vector bd[VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < VECTORS; j++) bd[j] = load(b + j * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            const Vector ad = spread(a[i] + d);
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) acc[i][j] = multiply_add(acc[i][j], ad, bd[j]);
        }
    }
}

template <int ROWS, int VECTORS>
struct Logits {
    // bias[i] points to the biases of query i, 0 or -inf
    static void run(const float* const* q, const float* k, int64_t ldk, int64_t depth, const float* const* bias,
                    int64_t at, float* s, int64_t lds) {
        Vector acc[ROWS][VECTORS];
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) acc[i][j] = load(bias[i] + at + j * LANES);
        multiply<ROWS, VECTORS>(q, k, ldk, depth, acc);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) store(s + i * lds + j * LANES, acc[i][j]);
    }
};

// The weights again, from the logarithm (base 2) of their sum: P = 2^(S - lse), and the gradient of the logits:
// dS = P (dO V^T - delta) + what `total` has of later steps, where it is not null; it then gets the sum
template <int ROWS, int VECTORS>
struct Slopes {
    // D and M in cells; `row`: the place of the first query in p and ds
    static void run(const float* const* q, const float* k, int64_t ldk, int64_t D, const float* const* bias,
                    int64_t at, const float* lse, const float* const* dout, const float* v, int64_t ldv, int64_t M,
                    const float* delta, float* total, int64_t ldt, const Map& p, const Map& ds, int64_t row) {
        Vector weight[ROWS][VECTORS], acc[ROWS][VECTORS];
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) acc[i][j] = load(bias[i] + at + j * LANES);
        multiply<ROWS, VECTORS>(q, k, ldk, D, acc);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++)
                weight[i][j] = power_of_two(acc[i][j] * LOG2_E - broadcast(lse[i]));
        p.keep(row, at, weight);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) acc[i][j] = -broadcast(delta[i]);
        multiply<ROWS, VECTORS>(dout, v, ldv, M, acc);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) acc[i][j] *= weight[i][j];
        if (total) {
#pragma GCC unroll 8
            for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
                for (int j = 0; j < VECTORS; j++) {
                    float* t = total + i * ldt + at + j * LANES;
                    acc[i][j] += load(t);
                    store(t, acc[i][j]);
                }
        }
        ds.keep(row, at, acc);
    }
};

// A rectangle of an image, pixel by pixel: rows x cols pixels, `ld` floats from pixel to pixel
template <class T>
struct Pixels {
    T* data;
    int64_t ld, row;
    int64_t rows, cols;
};

template <int ROWS, int VECTORS>
struct Gather {
    static void run(const float* p, int64_t ldp, const Pixels<const float>& v, int64_t channel, float* o,
                    int64_t ldo) {
        Vector acc[ROWS][VECTORS];
        o += channel;
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) acc[i][j] = load(o + i * ldo + j * LANES);
        for (int64_t y = 0; y < v.rows; y++) {
            const float* vr = v.data + channel + y * v.row;
            for (int64_t x = 0; x < v.cols; x++, vr += v.ld, p++) {
                Vector vx[VECTORS];
#pragma GCC unroll 8
                for (int j = 0; j < VECTORS; j++) vx[j] = load(vr + j * LANES);
#pragma GCC unroll 8
                for (int i = 0; i < ROWS; i++) {
                    const Vector px = spread(p + i * ldp);
#pragma GCC unroll 8
                    for (int j = 0; j < VECTORS; j++) acc[i][j] = multiply_add(acc[i][j], px, vx[j]);
                }
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) store(o + i * ldo + j * LANES, acc[i][j]);
    }
};

template <int ROWS, int VECTORS>
struct Scatter {
    static void run(const float* p, int64_t ldp, int64_t queries, const float* const* a, int64_t channel,
                    float* out, int64_t ldo) {
        Vector acc[ROWS][VECTORS];
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) acc[i][j] = load(out + i * ldo + j * LANES);
        for (int64_t q = 0; q < queries; q++, p += ldp) {
            Vector aq[VECTORS];
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) aq[j] = load(a[q] + channel + j * LANES);
#pragma GCC unroll 8
            for (int i = 0; i < ROWS; i++) {
                const Vector pq = spread(p + i);
#pragma GCC unroll 8
                for (int j = 0; j < VECTORS; j++) acc[i][j] = multiply_add(acc[i][j], pq, aq[j]);
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
            for (int j = 0; j < VECTORS; j++) store(out + i * ldo + j * LANES, acc[i][j]);
    }
};

// The instances of a block for 1 to BLOCK_ROWS rows and 1 to BLOCK_VECTORS vectors
template <template <int, int> class Block>
struct Table {
    typedef decltype(&Block<1, 1>::run) Run;
    Run runs[BLOCK_ROWS][BLOCK_VECTORS];

    template <int I, int J>
    constexpr void fill() {
        runs[I - 1][J - 1] = &Block<I, J>::run;
        if constexpr (J > 1)
            fill<I, J - 1>();
        else if constexpr (I > 1)
            fill<I - 1, BLOCK_VECTORS>();
    }
    constexpr Table() : runs() { fill<BLOCK_ROWS, BLOCK_VECTORS>(); }
    Run operator()(int64_t rows, int64_t vectors) const { return runs[rows - 1][vectors - 1]; }
};

constexpr Table<Logits> logits;
constexpr Table<Slopes> slopes;
constexpr Table<Gather> gather;
constexpr Table<Scatter> scatter;

// `count` things in blocks of sizes as equal as possible
struct Split {
    int64_t count, parts;
    // as few blocks as possible of at most `most`
    Split(int64_t count, int64_t most) : count(count), parts((count + most - 1) / most) {}
    static Split in_parts(int64_t count, int64_t parts) { return Split{count, parts, 0}; }

  private:
    Split(int64_t count, int64_t parts, int) : count(count), parts(parts) {}

  public:
    int64_t operator[](int64_t i) const { return count * i / parts; }
};

}  // namespace
