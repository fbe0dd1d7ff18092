// How an image is cut up for the matrix unit: into squares of 4 x 4 pixels, whose 16 queries or keys are the rows or
// columns of a tile. Small squares waste little work on keys that only some of their queries see.
// The squares of keys do not begin at the same pixels as those of queries but so that those of a query's window begin
// and end with it: a square of queries sees 7 x 7 of them for a window of 25, 12 x 12 for one of 45.
// Two squares of keys, one above the other, are a unit: the 32 keys of a sum.
#pragma once

#include "packing.h"

namespace {

constexpr int64_t SIDE = 4, SQUARE = SIDE * SIDE, UNIT = 2 * SQUARE;

// One axis of the image. Along it the square `g` of keys begins at the pixel SIDE g - reach.
struct Axis {
    int64_t size, reach;
    int64_t first, last; // squares of keys that hold a pixel of the image

    Axis(int64_t size, int64_t window)
        : size(size), reach(std::min(window / 2, size - 1)), first(reach / SIDE),
          last((reach + size - 1) / SIDE + 1) {}
    int64_t count() const { return last - first; }
    int64_t queries() const { return (size + SIDE - 1) / SIDE; } // squares of queries
    // squares of keys that the square `t` of queries sees
    Span seen(int64_t t) const { return {std::max(t, first), std::min(t + (2 * reach + 2 * SIDE - 1) / SIDE, last)}; }
    // which of the queries in the square `t` see the key number i of the square `g`, one bit for each
    unsigned see(int64_t t, int64_t g, int64_t i) const {
        const int64_t key = SIDE * g + i - reach;
        unsigned bits = 0;
        for (int64_t j = 0; j < SIDE; j++)
            if (key >= 0 && key < size && std::abs(key - (SIDE * t + j)) <= reach) bits |= 1u << j;
        return bits;
    }
};

// Sizes of a call
struct Grid {
    int64_t B, H, W, D, M;
    Axis y, x;
    Span units;               // rows of units that hold a pixel of the image
    int64_t depth_d, depth_m; // tiles of a sum over the channels
    int64_t tiles_d, tiles_m; // tiles of channels
    bool map;                 // whether there is a map of logits

    Grid(int64_t B, int64_t H, int64_t W, int64_t D, int64_t M, int64_t window, bool map)
        : B(B), H(H), W(W), D(D), M(M), y(H, window), x(W, window), units{y.first / 2, (y.last + 1) / 2},
          depth_d((D + 31) / 32), depth_m((M + 31) / 32), tiles_d(D / 16), tiles_m(M / 16), map(map) {}
    // the number of the unit in the row u of units
    int64_t unit(int64_t u, int64_t gx) const { return (u - units.from) * x.count() + gx - x.first; }
    int64_t all_units() const { return (units.to - units.from) * x.count(); }
};

// Who sees whom along one axis, for a square of queries: for each key of the squares that it sees, SQUARE bits
class Sight {
    std::vector<uint16_t> bits;
    std::vector<char> whole; // for each square: all see all

  public:
    Span seen;

    // `vertical`: the rows of a square, not its columns
    Sight(const Axis& axis, int64_t t, bool vertical)
        : bits((axis.seen(t).to - axis.seen(t).from) * SIDE), whole(axis.seen(t).to - axis.seen(t).from),
          seen(axis.seen(t)) {
        for (int64_t g = seen.from; g < seen.to; g++) {
            bool all = true;
            for (int64_t i = 0; i < SIDE; i++) {
                const unsigned some = axis.see(t, g, i);
                unsigned spread = 0;
                for (int64_t j = 0; j < SQUARE; j++)
                    if (some >> (vertical ? j / SIDE : j % SIDE) & 1) spread |= 1u << j;
                bits[(g - seen.from) * SIDE + i] = static_cast<uint16_t>(spread);
                all = all && spread == 0xffff;
            }
            whole[g - seen.from] = all;
        }
    }
    bool sees(int64_t g) const { return g >= seen.from && g < seen.to; }
    bool all(int64_t g) const { return whole[g - seen.from]; }
    const uint16_t* of(int64_t g) const { return &bits[(g - seen.from) * SIDE]; }
};

// Of all squares of queries
struct Sights {
    std::vector<Sight> y, x;
    explicit Sights(const Grid& g) {
        for (int64_t t = 0; t < g.y.queries(); t++) y.emplace_back(g.y, t, true);
        for (int64_t t = 0; t < g.x.queries(); t++) x.emplace_back(g.x, t, false);
    }
};

// A map of logits that is carried from call to call, or of their gradients, in numbers of 16 bits: for each square of queries, row by row, those of the squares of
// keys that it sees, row by row; [key][query]
class Places {
    std::vector<int64_t> before_y, before_x; // squares that are seen by all before

    static std::vector<int64_t> sums(const Axis& axis) {
        std::vector<int64_t> all{0};
        for (int64_t t = 0; t < axis.queries(); t++) all.push_back(all.back() + axis.seen(t).to - axis.seen(t).from);
        return all;
    }

  public:
    explicit Places(const Grid& g) : before_y(sums(g.y)), before_x(sums(g.x)) {}
    int64_t count() const { return before_y.back() * before_x.back() * SQUARE * SQUARE; } // numbers for an image
    int64_t of(const Grid& g, int64_t ty, int64_t tx) const {
        const Span rows = g.y.seen(ty);
        return (before_y[ty] * before_x.back() + (rows.to - rows.from) * before_x[tx]) * SQUARE * SQUARE;
    }
};

}  // namespace
