// The gradients by the matrix unit. As in squares_forward.h logits stand with their keys along the rows of a tile. The
// weights P and the gradients dS of the logits are needed as factors of two kinds:
//   dQ^T = K^T dS^T            sums over keys
//   dK = dS^T Q, dV = P^T dO   sums over queries, of which two squares, one above the other, make the 32 of a tile
// A group of such pairs of squares takes turns with the same keys, so that the sums for these, which are far too many
// for the processor's registers, are read and written but once for all of the group.
#pragma once

#include "squares_groups.h"
#include "squares_weights.h"

namespace {

// One thread's work, with the space it needs
class Backward {
    const Grid g;
    Tiles tiles;
    const Powers powers;
    std::vector<Pair> pairs;
    int64_t count = 0; // of pairs
    Floats kept, across, ring, p, ds, ds_columns, unseen, other;
    std::vector<float> nothing;
    BackwardMeeting meetings[2 * MOST_CHUNK];
    int64_t met = 0;

  public:
    // of an image, where one thread does all of it: what its queries share, and sums for its keys
    Floats own_keys, own_values, own_columns, own_sums;

    explicit Backward(const Grid& g)
        : g(g), pairs(GROUP_ROWS * group_cols(g)), kept(zeros(pairs.size() * kept_for_a_pair(g))),
          across(zeros(g.depth_m * TILE)), ring(zeros(2 * 4 * TILE)),
          p(zeros(MOST_WEIGHTS * 2 * TILE)), ds(zeros(MOST_WEIGHTS * 2 * TILE)),
          ds_columns(zeros(MOST_CHUNK * 2 * TILE)), unseen(zeros(TILE)), other(zeros(TILE)),
          nothing(std::max(g.D, g.M)) {
        float* at = kept.get();
        for (Pair& pair : pairs) {
            pair.q = at, at += 2 * g.depth_d * TILE;
            pair.dout = at, at += 2 * g.depth_m * TILE;
            pair.q_pairs = at, at += g.tiles_d * TILE;
            pair.dout_pairs = at, at += g.tiles_m * TILE;
            pair.dq = at, at += 2 * g.tiles_d * TILE;
        }
    }

    // The squares of queries from (ty, tx) to before (ty_end, tx_end), a group. `sums`: for the units from the row
    // `first` on.
    void run(int64_t ty, int64_t ty_end, int64_t tx, int64_t tx_end, const BackwardImages& images,
             const BackwardShared& shared, const Places& all, const Sights& sights, float* sums, int64_t first) {
        count = 0;
        for (int64_t y = ty; y < ty_end; y += 2)
            for (int64_t x = tx; x < tx_end; x++) begin(pairs[count++], y, x, images, all, sights);
        const Span rows{g.y.seen(ty).from / 2, (g.y.seen(ty_end - 1).to + 1) / 2};
        const Span cols{g.x.seen(tx).from, g.x.seen(tx_end - 1).to};
        const Split chunks(cols.to - cols.from, chunk_cols(g));
        for (int64_t row = rows.from; row < rows.to; row++)
            for (int64_t c = 0; c < chunks.parts; c++)
                differentiate(row, {cols.from + chunks[c], cols.from + chunks[c + 1]}, shared, sums, first);
        for (int64_t t = 0; t < count; t++) finish(pairs[t], images);
    }

  private:
    static int64_t kept_for_a_pair(const Grid& g) {
        return (2 * g.depth_d + 2 * g.depth_m + 3 * g.tiles_d + g.tiles_m) * TILE;
    }

    void begin(Pair& pair, int64_t ty, int64_t tx, const BackwardImages& images, const Places& all,
               const Sights& sights) {
        pair.ty = ty, pair.tx = tx, pair.squares = std::min<int64_t>(2, g.y.queries() - ty);
        pair.cols = &sights.x[tx];
        const float *queries[2][SQUARE], *grads[2][SQUARE], *outs[SQUARE];
        for (int64_t u = 0; u < 2; u++) {
            if (u < pair.squares) {
                pair.rows[u] = &sights.y[ty + u];
                pair.places[u] = g.map ? all.of(g, ty + u, tx) : 0;
            }
            Pixel{images.q, g, nothing.data()}.queries(ty + u, tx, queries[u]);
            Pixel{images.dout, g, nothing.data()}.queries(ty + u, tx, grads[u]);
            Pixel{images.out, g, nothing.data()}.queries(ty + u, tx, outs);
            float* to = pair.dout + u * g.depth_m * TILE;
            pack_across(queries[u], g.D, pair.q + u * g.depth_d * TILE);
            pack_across(grads[u], g.M, to);
            pack_across(outs, g.M, across.get());
            Vector delta{};
            for (int64_t c = 0; c < g.M / 2; c++)
                delta = multiply_add(delta, load(to + c * ROW), load(across.get() + c * ROW));
            pair.delta[u] = delta;
            for (int64_t i = 0; i < SQUARE; i++) {
                const int64_t y = SIDE * (ty + u) + i / SIDE, x = SIDE * tx + i % SIDE;
                // queries beyond the image get weights of zero
                pair.bias[u][i] = y < g.H && x < g.W ? BIAS - STEPS * *images.lse.at(y, x) : -__builtin_inff();
            }
        }
        pack_pairs(queries[0], queries[1], g.D, pair.q_pairs);
        pack_pairs(grads[0], grads[1], g.M, pair.dout_pairs);
        std::memset(pair.dq, 0, 2 * g.tiles_d * TILE * sizeof(float));
    }

    // all pairs with the units of a row in some columns
    void differentiate(int64_t row, Span cols, const BackwardShared& shared, float* sums, int64_t first) {
        for (int64_t t = 0; t < count; t++) {
            Pair& pair = pairs[t];
            if (!pair.sees(2 * row) && !pair.sees(2 * row + 1)) continue;
            const Span some{std::max(cols.from, pair.cols->seen.from), std::min(cols.to, pair.cols->seen.to)};
            const float *key_tiles[MOST_CHUNK], *ds_tiles[MOST_CHUNK];
            met = 0;
            for (int64_t gx = some.from; gx < some.to; gx++) {
                const int64_t n = gx - some.from;
                key_tiles[n] = shared.key_columns + g.unit(row, gx) * g.tiles_d * TILE;
                ds_tiles[n] = ds_columns.get() + n * 2 * TILE;
                for (int64_t half = 0; half < 2; half++) meet(pair, t, row, half, gx, gx - cols.from, n, shared);
            }
            if (some.from >= some.to) continue;
            switch ((shared.map ? 1 : 0) + (shared.later ? 2 : 0) + (shared.earlier ? 4 : 0)) {
            case 0: slopes<false, false, false>(pair); break;
            case 1: slopes<true, false, false>(pair); break;
            case 3: slopes<true, true, false>(pair); break;
            case 5: slopes<true, false, true>(pair); break;
            default: slopes<true, true, true>(pair);
            }
            add_products(g.tiles_d, pair.squares, pair.dq, TILE, g.tiles_d * TILE, {key_tiles, 0}, TILE,
                         {ds_tiles, 0}, TILE, some.to - some.from);
        }
        const int64_t tiles_of_key = g.tiles_d + g.tiles_m;
        for (int64_t gx = cols.from; gx < cols.to; gx++) {
            const float *p_tiles[MOST_GROUP], *ds_tiles[MOST_GROUP], *q_tiles[MOST_GROUP], *dout_tiles[MOST_GROUP];
            int64_t n = 0;
            for (int64_t t = 0; t < count; t++) {
                const Pair& pair = pairs[t];
                if (!(pair.sees(2 * row) || pair.sees(2 * row + 1)) || !pair.cols->sees(gx)) continue;
                p_tiles[n] = weights(p, gx - cols.from, t);
                ds_tiles[n] = weights(ds, gx - cols.from, t);
                q_tiles[n] = pair.q_pairs;
                dout_tiles[n++] = pair.dout_pairs;
            }
            float* dk = sums + (g.unit(row, gx) - g.unit(first, g.x.first)) * 2 * tiles_of_key * TILE;
            add_products(2, g.tiles_d, dk, tiles_of_key * TILE, TILE, {ds_tiles, 0}, TILE, {q_tiles, 0}, TILE, n);
            add_products(2, g.tiles_m, dk + g.tiles_d * TILE, tiles_of_key * TILE, TILE, {p_tiles, 0}, TILE,
                         {dout_tiles, 0}, TILE, n);
        }
    }

    // of the pair `t` towards the unit in a column of the chunk: two tiles
    float* weights(const Floats& all, int64_t column, int64_t t) const {
        return all.get() + (column * static_cast<int64_t>(pairs.size()) + t) * 2 * TILE;
    }

    // `column`: in the chunk, `n`: among those that the pair sees
    void meet(const Pair& pair, int64_t t, int64_t row, int64_t half, int64_t gx, int64_t column, int64_t n,
              const BackwardShared& shared) {
        static const uint16_t none[SIDE] = {};
        const int64_t square = 2 * g.unit(row, gx) + half, gy = 2 * row + half;
        BackwardMeeting& m = meetings[met++];
        m.keys = shared.keys + square * g.depth_d * TILE;
        m.values = shared.values + square * g.depth_m * TILE;
        m.cols = pair.cols->of(gx);
        m.whole = pair.cols->all(gx);
        m.p = weights(p, column, t) + half * TILE;
        m.ds = weights(ds, column, t) + half * TILE;
        m.ds_columns = ds_columns.get() + n * 2 * TILE + half * TILE / 2;
        for (int64_t u = 0; u < 2; u++) {
            const bool sees = u < pair.squares && pair.rows[u]->sees(gy);
            m.rows[u] = sees ? pair.rows[u]->of(gy) : none;
            m.whole = m.whole && sees && pair.rows[u]->all(gy);
            m.map[u] = m.later[u] = reinterpret_cast<const uint16_t*>(unseen.get());
            m.earlier[u] = reinterpret_cast<uint16_t*>(other.get());
            if (!sees || !g.map) continue;
            const int64_t width = pair.cols->seen.to - pair.cols->seen.from;
            const int64_t at =
                pair.places[u] + ((gy - pair.rows[u]->seen.from) * width + gx - pair.cols->seen.from) * TILE;
            m.map[u] = shared.map + at;
            if (shared.later) m.later[u] = shared.later + at;
            if (shared.earlier) m.earlier[u] = shared.earlier + at;
        }
    }

    template <bool MAP, bool LATER, bool EARLIER>
    void slopes(const Pair& pair) {
        // Logits, and products of values and gradients, are multiplied one meeting ahead of the rest. They leave their
        // tiles when those of the meeting before have been read from the same place.
        const auto multiply = [&](int64_t n) {
            if (n == met) return;
            const BackwardMeeting& m = meetings[n];
            if (!MAP)
                for (int64_t d = 0; d < g.depth_d; d++)
                    product_steps<0, 1>(m.keys, pair.q, pair.q + g.depth_d * TILE, d);
            for (int64_t d = 0; d < g.depth_m; d++)
                product_steps<2, 3>(m.values, pair.dout, pair.dout + g.depth_m * TILE, d);
        };
        const auto keep = [&](int64_t n) {
            if (n == met) return;
            if (!MAP) {
                store_tile<0>(ring.get());
                store_tile<1>(ring.get() + TILE);
            }
            store_tile<2>(ring.get() + 2 * TILE);
            store_tile<3>(ring.get() + 3 * TILE);
        };
        multiply(0);
        keep(0);
        for (int64_t n = 0; n < met; n++) {
            multiply(n + 1);
            // what the meeting after the next reads of the maps is on its way meanwhile
            if (MAP && n + 2 < met)
                for (int64_t u = 0; u < 2; u++)
                    for (int64_t i = 0; i < TILE; i += 32) {
                        _mm_prefetch(meetings[n + 2].map[u] + i, _MM_HINT_T0);
                        if (LATER) _mm_prefetch(meetings[n + 2].later[u] + i, _MM_HINT_T0);
                    }
            if (meetings[n].whole)
                slope<true, MAP, LATER, EARLIER>(pair, ring.get(), meetings[n]);
            else
                slope<false, MAP, LATER, EARLIER>(pair, ring.get(), meetings[n]);
            keep(n + 1);
        }
    }

    // P = 2^(S - lse), and the gradient of the logits: dS = P (V dO^T - delta) + that of later steps
    template <bool WHOLE, bool MAP, bool LATER, bool EARLIER>
    INLINE void slope(const Pair& pair, const float* from, const BackwardMeeting& m) {
        const Vector bias[2] = {pair.bias[0], pair.bias[1]}, delta[2] = {pair.delta[0], pair.delta[1]};
#pragma GCC unroll 8
        for (int64_t i = 0; i < SQUARE; i += 2) {
            Vector slope[2][2]; // [key][square of queries]
#pragma GCC unroll 2
            for (int64_t e = 0; e < 2; e++) {
                const int64_t at = (i + e) * ROW;
                Vector x[2];
                unsigned some[2];
#pragma GCC unroll 2
                for (int64_t u = 0; u < 2; u++) {
                    x[u] = MAP ? carried_logits(m.map[u] + at) : load(from + u * TILE + at);
                    x[u] = x[u] * (LOG2_E * STEPS) + bias[u];
                    some[u] = WHOLE ? 0xffff : m.rows[u][i / SIDE] & m.cols[(i + e) % SIDE];
                }
                const Vector cells = powers.cells(x[0], x[1], some[0], some[1]);
                store(m.p + at, cells);
                const Vector p[2] = {lower(cells), cut(cells)};
#pragma GCC unroll 2
                for (int64_t u = 0; u < 2; u++) {
                    Vector grad = (load(from + (2 + u) * TILE + at) - delta[u]) * p[u];
                    if (LATER) grad += widened(m.later[u] + at);
                    if (EARLIER) carry_on(m.earlier[u] + at, grad);
                    slope[e][u] = to_cut(grad);
                }
                store(m.ds + at, cut(slope[e][0], slope[e][1]));
            }
#pragma GCC unroll 2
            for (int64_t u = 0; u < 2; u++)
                store(m.ds_columns + u * TILE + i / 2 * ROW, cut(slope[0][u], slope[1][u]));
        }
    }

    void finish(const Pair& pair, const BackwardImages& images) {
        for (int64_t u = 0; u < pair.squares; u++) {
            float* to[SQUARE] = {};
            int64_t some = 0;
            for (int64_t i = 0; i < SQUARE; i++) {
                const int64_t y = SIDE * (pair.ty + u) + i / SIDE, x = SIDE * pair.tx + i % SIDE;
                if (y >= g.H || x >= g.W) continue;
                some |= int64_t{1} << i;
                to[i] = images.dq.at(y, x);
            }
            for (int64_t c = 0; c < g.tiles_d; c++) {
                write_columns(pair.dq + (u * g.tiles_d + c) * TILE, broadcast(1.0f), some, to, false);
                for (float*& pixel : to) pixel += ROW / 2;
            }
        }
    }
};

}  // namespace
