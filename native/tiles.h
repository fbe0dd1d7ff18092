// Sums of products of tiles, as the matrix unit (amx.h) makes them.
#pragma once

#include "amx.h"
#include "vector.h"

namespace {

// cells of 32 bits in a tile, and in a row of it
constexpr int64_t TILE = 256, ROW = 16;

// While it lives, this thread's tiles are all of the full size; those of `single` rows, a bit for each, have but one.
class Tiles {
  public:
    explicit Tiles(unsigned single = 0) {
        uint8_t rows[8];
        for (int i = 0; i < 8; i++) rows[i] = single >> i & 1 ? 1 : 16;
        may_use_tiles();
        configure_tiles(rows);
    }
    ~Tiles() { release_tiles(); }
    Tiles(const Tiles&) = delete;
};

// One tile from nothing, c = sum over d of a[d] b[d], a step at a time like Background; it stays in tile T
template <int T>
INLINE void product_step(const float* a, const float* b, int64_t d) {
    if (d == 0) zero_tile<T>();
    load_tile<4>(a + d * TILE);
    load_tile<5>(b + d * TILE);
    multiply_tiles<T, 4, 5>();
}

// The same for two of them that share their first factors
template <int T, int SECOND>
INLINE void product_steps(const float* a, const float* b, const float* second_b, int64_t d) {
    if (d == 0) {
        zero_tile<T>();
        zero_tile<SECOND>();
    }
    load_tile<4>(a + d * TILE);
    load_tile<5>(b + d * TILE);
    multiply_tiles<T, 4, 5>();
    load_tile<6>(second_b + d * TILE);
    multiply_tiles<SECOND, 4, 6>();
}

// Where the tiles of a sum are: those of its n-th step `offset` behind at[n]
struct Factors {
    const float* const* at;
    int64_t offset;
    const float* of(int64_t n) const { return at[n] + offset; }
};

// I x J tiles, the tile (i, j) of them at c + i ci + j cj, get `count` products each, the factors of the next row and
// column behind those of the first. Four of them fill the unit while the next factors are loaded.
template <int I, int J>
INLINE void add_products(float* c, int64_t ci, int64_t cj, const Factors& a, int64_t a_next, const Factors& b,
                         int64_t b_next, int64_t count) {
    load_tile<0>(c);
    if constexpr (J > 1) load_tile<1>(c + cj);
    if constexpr (I > 1) load_tile<2>(c + ci);
    if constexpr (I > 1 && J > 1) load_tile<3>(c + ci + cj);
    for (int64_t n = 0; n < count; n++) {
        load_tile<4>(a.of(n));
        load_tile<6>(b.of(n));
        multiply_tiles<0, 4, 6>();
        if constexpr (J > 1) {
            load_tile<7>(b.of(n) + b_next);
            multiply_tiles<1, 4, 7>();
        }
        if constexpr (I > 1) {
            load_tile<5>(a.of(n) + a_next);
            multiply_tiles<2, 5, 6>();
        }
        if constexpr (I > 1 && J > 1) multiply_tiles<3, 5, 7>();
    }
    store_tile<0>(c);
    if constexpr (J > 1) store_tile<1>(c + cj);
    if constexpr (I > 1) store_tile<2>(c + ci);
    if constexpr (I > 1 && J > 1) store_tile<3>(c + ci + cj);
}

// The same for any numbers of tiles, is x js of them
INLINE void add_products(int64_t is, int64_t js, float* c, int64_t ci, int64_t cj, Factors a, int64_t a_next,
                         Factors b, int64_t b_next, int64_t count) {
    if (!count) return;
    const int64_t first = b.offset;
    for (int64_t i = 0; i < is; i += 2, a.offset += 2 * a_next) {
        b.offset = first;
        for (int64_t j = 0; j < js; j += 2, b.offset += 2 * b_next) {
            float* at = c + i * ci + j * cj;
            if (i + 1 < is && j + 1 < js)
                add_products<2, 2>(at, ci, cj, a, a_next, b, b_next, count);
            else if (i + 1 < is)
                add_products<2, 1>(at, ci, cj, a, a_next, b, b_next, count);
            else if (j + 1 < js)
                add_products<1, 2>(at, ci, cj, a, a_next, b, b_next, count);
            else
                add_products<1, 1>(at, ci, cj, a, a_next, b, b_next, count);
        }
    }
}

// Products that are to be added to tiles in memory: to those at c, and where there are two at a time also to those
// `second_c` behind them, whose second factors are `second_b` behind those of the first. Such a sum has `count` steps,
// and there are `sums` of them, each at c_next, a_next and b_next behind the one before.
struct Task {
    float* c;
    Factors a, b;
    int64_t count, sums, c_next, a_next, b_next;
    bool two;
    int64_t second_c, second_b;
};

// Tasks that are done a step at a time between the vector instructions of other work. Products themselves then cost
// next to nothing; what they cost is loading tiles (8 cycles of the decoder, 16 for a store). While the matrix unit
// is busy, and some hundred cycles beyond, the processor lacks one of its two vector multipliers: so the other work
// should multiply little.
template <class Also>
class Background {
    Task tasks[8];
    int64_t now = 0, count = 0, step_now = 0;

  public:
    Also also; // also(second): what else is done with the second factor of the first sum, then in tile 5

    void add(const Task& task) {
        if (task.count && task.sums) tasks[count++] = task;
    }
    bool idle() const { return now == count; }
    INLINE void step() {
        if (idle()) return;
        Task& t = tasks[now];
        if (step_now == 0) {
            load_tile<6>(t.c);
            if (t.two) load_tile<7>(t.c + t.second_c);
        }
        load_tile<4>(t.a.of(step_now));
        load_tile<5>(t.b.of(step_now));
        multiply_tiles<6, 4, 5>();
        also(false);
        if (t.two) {
            load_tile<5>(t.b.of(step_now) + t.second_b);
            multiply_tiles<7, 4, 5>();
            also(true);
        }
        if (++step_now < t.count) return;
        step_now = 0;
        store_tile<6>(t.c);
        if (t.two) store_tile<7>(t.c + t.second_c);
        t.c += t.c_next, t.a.offset += t.a_next, t.b.offset += t.b_next;
        also.next();
        if (--t.sums == 0 && ++now == count) now = count = 0;
    }
    void finish() {
        while (!idle()) step();
    }
};

}  // namespace
