// The attended values by the matrix unit. Logits stand with their keys along the rows of a tile and their queries
// along the columns, S^T = K Q^T and O^T = V^T P^T: so the softmax needs no sums across a register.
//
// Weights are relative to a reference that need not be the largest logit, only near enough that nothing overflows: it
// is the logit of the query's own pixel, which it always sees. Where that turns out to be far too small the queries
// begin again, with the largest.
#pragma once

#include <cmath>

#include "squares_chunks.h"
#include "squares_weights.h"

namespace {

// One thread's work, with the space it needs. It takes two squares of queries at once, one above the other.
class Forward {
    const Grid g;
    Tiles tiles{1u << 1 | 1u << 2 | 1u << 3};
    const Powers powers;
    Background<Sums> values; // times weights
    Floats q, own, ring, weights, attended;
    std::vector<float> nothing;
    alignas(64) Vector reference[2], bias[2];
    alignas(64) float total[2][ROW];
    int64_t squares = 0, ty = 0, tx = 0, places[2]; // of queries: how many; where theirs begin in the map
    const Sight *rows[2], *cols;
    ForwardChunk chunks[3];            // one is used, one weighed, one filled
    int64_t turn = 0;           // number of the last
    int64_t met = 0, ahead = 0; // meetings so far; those whose logits are multiplied beyond them

  public:
    Floats own_keys, own_values; // of an image, where one thread does all of it

    explicit Forward(const Grid& g)
        : g(g), q(zeros(2 * g.depth_d * TILE)), own(zeros(g.depth_d * TILE)), ring(zeros(2 * TILE)),
          weights(zeros(2 * 2 * CHUNK_UNITS * TILE)), attended(zeros(2 * g.tiles_m * TILE)),
          nothing(std::max(g.D, g.M)) {
        alignas(64) float ones[ROW];
        const Vector one = reinterpret_cast<Vector>(_mm512_set1_epi16(0x3f80));
        store(ones, one);
        load_tile<3>(ones);
    }

    // the squares (ty, tx) and (ty + 1, tx)
    void run(int64_t y, int64_t x, const ForwardImages& images, Shared shared, const Places& all,
             const Sights& sights) {
        ty = y, tx = x, squares = std::min<int64_t>(2, g.y.queries() - ty);
        cols = &sights.x[tx];
        for (int64_t u = 0; u < squares; u++) {
            rows[u] = &sights.y[ty + u];
            places[u] = g.map ? all.of(g, ty + u, tx) : 0;
            begin(u, images, shared);
        }
        attend_all(shared);
        if (squares && too_large()) {
            if (shared.after) {
                // the map has all logits now
                std::memset(q.get(), 0, 2 * g.depth_d * TILE * sizeof(float));
                shared.before = shared.after;
            }
            find_largest(shared);
            attend_all(shared);
        }
        for (int64_t u = 0; u < squares; u++) finish(u, images);
    }

  private:
    // of the square of keys in what the square u of queries has in the map
    int64_t place(int64_t u, int64_t gy, int64_t gx) const {
        const int64_t width = cols->seen.to - cols->seen.from;
        return places[u] + ((gy - rows[u]->seen.from) * width + gx - cols->seen.from) * TILE;
    }
    float before(const Shared& shared, int64_t at) const {
        if (!shared.before) return 0.0f;
        return _cvtsh_ss(shared.before[at]);
    }

    void begin(int64_t u, const ForwardImages& images, const Shared& shared) {
        float* to = q.get() + u * g.depth_d * TILE;
        const float* pixels[SQUARE];
        Pixel{images.q, g, nothing.data()}.queries(ty + u, tx, pixels);
        pack_across(pixels, g.D, to);
        Pixel{images.k, g, nothing.data()}.queries(ty + u, tx, pixels);
        pack_across(pixels, g.D, own.get());
        Vector logit{};
        for (int64_t c = 0; c < g.D / 2; c++)
            logit = multiply_add(logit, load(to + c * ROW), load(own.get() + c * ROW));
        for (int64_t i = 0; i < SQUARE && shared.before; i++) {
            const int64_t y = i / SIDE + g.y.reach, x = i % SIDE + g.x.reach;
            const int64_t gy = ty + u + y / SIDE, gx = tx + x / SIDE;
            // queries beyond the image have none
            if (gy < rows[u]->seen.to && gx < cols->seen.to)
                logit[i] += before(shared, place(u, gy, gx) + (y % SIDE * SIDE + x % SIDE) * ROW + i);
        }
        refer_to(u, logit);
    }
    void refer_to(int64_t u, Vector logit) {
        bias[u] = BIAS - logit * (LOG2_E * STEPS);
        reference[u] = (BIAS - bias[u]) * (1 / STEPS); // as it was rounded
    }

    // Calls for the rows of units, and who of the queries sees them
    template <class Row>
    void each_row(Row row) {
        const Span seen{rows[0]->seen.from, rows[squares - 1]->seen.to};
        for (int64_t r = seen.from / 2; r < (seen.to + 1) / 2; r++)
            row(r, Span{rows[0]->seen.to <= 2 * r, squares - (rows[squares - 1]->seen.from >= 2 * r + 2)});
    }

    // A chunk is attended to when the next is known: the logits of its first meetings are multiplied beside the last
    // of those before.
    void attend_all(const Shared& shared) {
        std::memset(attended.get(), 0, 2 * g.tiles_m * TILE * sizeof(float));
        zero_tile<1>();
        zero_tile<2>();
        const int64_t first = turn;
        const auto begin_chunk = [&](Span who) {
            ForwardChunk& chunk = chunks[++turn % 3];
            chunk.who = who;
            chunk.count = chunk.units = chunk.unseen_count = 0;
            if (turn > first + 2) attend(chunks[(turn - 2) % 3], chunks[(turn - 1) % 3], shared);
        };
        each_row([&](int64_t row, Span who) {
            for (int64_t gx = cols->seen.from; gx < cols->seen.to; gx++) {
                const ForwardChunk& now = chunks[turn % 3];
                if (turn == first || now.units == CHUNK_UNITS || now.who.from != who.from || now.who.to != who.to)
                    begin_chunk(who);
                meet(chunks[turn % 3], row, gx, shared);
            }
        });
        begin_chunk({0, 0});
        attend(chunks[(turn - 1) % 3], chunks[turn % 3], shared);
        values.finish();
        store_tile<1>(total[0]);
        store_tile<2>(total[1]);
    }

    // adds a unit of keys to a chunk
    void meet(ForwardChunk& chunk, int64_t row, int64_t gx, const Shared& shared) {
        const int64_t unit = g.unit(row, gx);
        chunk.values[chunk.units] = shared.values + unit * g.tiles_m * TILE;
        float* to = weights.get() + (turn % 2 * CHUNK_UNITS + chunk.units) * 2 * TILE;
        chunk.weights[chunk.units++] = to;
        for (int64_t half = 0; half < 2; half++)
            for (int64_t u = chunk.who.from; u < chunk.who.to; u++) {
                const int64_t gy = 2 * row + half;
                float* half_tile = to + u * TILE + half * TILE / 2;
                if (rows[u]->sees(gy))
                    chunk.meetings[chunk.count++] = {shared.keys + (2 * unit + half) * g.depth_d * TILE,
                                                     q.get() + u * g.depth_d * TILE, rows[u]->of(gy), cols->of(gx),
                                                     half_tile, g.map ? place(u, gy, gx) : 0, static_cast<int32_t>(u),
                                                     rows[u]->all(gy) && cols->all(gx)};
                else
                    chunk.unseen[chunk.unseen_count++] = half_tile;
            }
    }

    // the weights of a chunk, while the weights before them are used
    void attend(const ForwardChunk& chunk, const ForwardChunk& next, const Shared& shared) {
        for (int64_t i = 0; i < chunk.unseen_count; i++) std::memset(chunk.unseen[i], 0, TILE / 2 * sizeof(float));
        switch ((shared.before ? 1 : 0) + (shared.after ? 2 : 0)) {
            case 0: weigh_all<false, false>(chunk, next, shared); break;
            case 1: weigh_all<true, false>(chunk, next, shared); break;
            case 2: weigh_all<false, true>(chunk, next, shared); break;
            case 3: weigh_all<true, true>(chunk, next, shared); break;
        }
        values.finish();
        const Span who = chunk.who;
        values.also = {who.from, true};
        values.add({attended.get() + who.from * g.tiles_m * TILE, {chunk.values, 0}, {chunk.weights, who.from * TILE},
                    chunk.units, g.tiles_m, TILE, TILE, 0, who.to - who.from > 1, g.tiles_m * TILE, TILE});
    }

    template <bool BEFORE, bool AFTER>
    void weigh_all(const ForwardChunk& chunk, const ForwardChunk& next, const Shared& shared) {
        // The logits of a meeting are multiplied two meetings ahead, and leave their tile when those that were in the
        // same place in memory have been read.
        const auto meeting = [&](int64_t n) {
            return n < chunk.count                ? &chunk.meetings[n]
                   : n - chunk.count < next.count ? &next.meetings[n - chunk.count]
                                                  : nullptr;
        };
        for (int64_t n = 0; n < chunk.count; n++, met++) {
            for (; ahead < 2 && meeting(n + ahead); ahead++) {
                const ForwardMeeting& m = *meeting(n + ahead);
                for (int64_t d = 0; d < g.depth_d; d++) product_step<0>(m.keys, m.q, d);
                store_tile<0>(ring.get() + (met + ahead) % 2 * TILE);
            }
            const ForwardMeeting &m = chunk.meetings[n], *later = meeting(n + 2);
            if (!later) ahead--;
            const uint16_t* before = BEFORE ? shared.before + m.place : nullptr;
            uint16_t* after = AFTER ? shared.after + m.place : nullptr;
            // what the meeting after the next reads of the map is on its way meanwhile
            if (BEFORE && later)
                for (int64_t i = 0; i < TILE; i += 32)
                    _mm_prefetch(shared.before + later->place + i, _MM_HINT_T0);
            if (m.whole)
                weigh<true, BEFORE, AFTER>(m, later, before, after);
            else
                weigh<false, BEFORE, AFTER>(m, later, before, after);
        }
    }

    template <bool WHOLE, bool BEFORE, bool AFTER>
    INLINE void weigh(const ForwardMeeting& m, const ForwardMeeting* later, const uint16_t* before, uint16_t* after) {
        const int64_t depth = later ? g.depth_d : 0;
        float* s = ring.get() + met % 2 * TILE;
        const Vector from = bias[m.u];
        int64_t d = 0;
#pragma GCC unroll 8
        for (int64_t i = 0; i < SQUARE; i += 2) {
            if (i % 4 == 0) {
                if (d < depth) product_step<0>(later->keys, later->q, d), d++;
            } else {
                values.step();
            }
            Vector x[2];
            unsigned some[2];
#pragma GCC unroll 2
            for (int64_t e = 0; e < 2; e++) {
                const int64_t at = (i + e) * ROW;
                x[e] = carry<BEFORE, AFTER>(load(s + at), before + at, after + at);
                x[e] = x[e] * (LOG2_E * STEPS) + from;
                some[e] = WHOLE ? 0xffff : m.rows[i / SIDE] & m.cols[(i + e) % SIDE];
            }
            store(m.weights + i / 2 * ROW, powers.cells(x[0], x[1], some[0], some[1]));
        }
        for (; d < depth; d++) product_step<0>(later->keys, later->q, d);
        if (depth) store_tile<0>(s);
    }

    bool too_large() const {
        for (int64_t u = 0; u < squares; u++)
            if (_mm512_cmp_ps_mask(load(total[u]), broadcast(LARGE), _CMP_NLE_UQ)) return true;
        return false;
    }

    // The largest logits as references
    void find_largest(const Shared& shared) {
        float* s = ring.get();
        for (int64_t u = 0; u < squares; u++) {
            Vector top = broadcast(-__builtin_inff());
            for (int64_t gy = rows[u]->seen.from; gy < rows[u]->seen.to; gy++)
                for (int64_t gx = cols->seen.from; gx < cols->seen.to; gx++) {
                    const float* keys = shared.keys + (2 * g.unit(gy / 2, gx) + gy % 2) * g.depth_d * TILE;
                    for (int64_t d = 0; d < g.depth_d; d++) product_step<0>(keys, q.get() + u * g.depth_d * TILE, d);
                    store_tile<0>(s);
                    for (int64_t i = 0; i < SQUARE; i++)
                        for (int64_t j = 0; j < SQUARE && shared.before; j++)
                            s[i * ROW + j] += before(shared, place(u, gy, gx) + i * ROW + j);
                    for (int64_t i = 0; i < SQUARE; i++) {
                        const int some = rows[u]->of(gy)[i / SIDE] & cols->of(gx)[i % SIDE];
                        top = _mm512_mask_max_ps(top, static_cast<__mmask16>(some), top, load(s + i * ROW));
                    }
                }
            refer_to(u, top);
        }
    }

    void finish(int64_t u, const ForwardImages& images) {
        const Vector sum = load(total[u]), lse = reference[u] + logarithm(sum);
        float* to[SQUARE] = {};
        int64_t some = 0;
        for (int64_t i = 0; i < SQUARE; i++) {
            const int64_t y = SIDE * (ty + u) + i / SIDE, x = SIDE * tx + i % SIDE;
            if (y >= g.H || x >= g.W) continue;
            some |= int64_t{1} << i;
            to[i] = images.out.at(y, x);
            *images.lse.at(y, x) = lse[i];
        }
        for (int64_t c = 0; c < g.tiles_m; c++) {
            write_columns(attended.get() + (u * g.tiles_m + c) * TILE, 1.0f / sum, some, to, images.add);
            for (float*& pixel : to) pixel += ROW / 2;
        }
    }
};

}  // namespace
