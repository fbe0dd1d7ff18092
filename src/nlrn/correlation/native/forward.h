// The attended values: softmax over a chunk of keys at a time, with a running maximum and sum.
#pragma once

#include <cmath>

#include "geometry.h"

namespace {

struct ForwardImages {
    Image<const float> q, k, v;
    Image<float> out, lse;
};

// Turns the logits of one query into weights relative to the largest so far. The logits are in the lanes
// from `skip` to `end`; the lanes around them in the first and last vector hold whatever lies there.
INLINE void soften(float* s, int64_t skip, int64_t end, float& top, float& total, float* o, int64_t M) {
    const Vector none = broadcast(-__builtin_inff());
    const int64_t last = (end - 1) / LANES * LANES;
    const Integers lane = lanes();
    store(s, lane >= static_cast<int32_t>(skip) ? load(s) : none);
    store(s + last, lane < static_cast<int32_t>(end - last) ? load(s + last) : none);
    // in two chains, which need not wait for each other
    Vector most = load(s), also = none;
    for (int64_t i = LANES; i < end; i += 2 * LANES) {
        also = maximum(load(s + i), also);
        if (i + LANES < end) most = maximum(load(s + i + LANES), most);
    }
    const float higher = std::max(top, largest(maximum(most, also)));
    if (higher > top) {
        const Vector factor = power_of_two(broadcast((top - higher) * LOG2_E)); // 0 when this is the first chunk it sees
        for (int64_t c = 0; c < M; c += LANES) store(o + c, load(o + c) * factor);
        total *= factor[0];
        top = higher;
    }
    // a query that sees none of these keys gets weights of zero
    total += sum(weigh(s, end, LOG2_E, std::max(top, -2.0e38f) * LOG2_E));
}

// One thread's work, with the space it needs
class Forward {
    const Shape s;
    const int64_t lds;
    Bias bias;
    Packed keys;
    Strip values;
    Floats logits_of_tile, attended, top, total; // of one tile; of a group of tiles
    std::unique_ptr<const float*[]> q;

  public:
    explicit Forward(const Shape& s)
        : s(s), lds(s.logits_stride()), bias(s), keys(s, s.D), values(s, s.M),
          logits_of_tile(zeros(s.most_queries() * lds)),
          attended(zeros(s.group * s.most_queries() * s.M)), top(zeros(s.group * s.most_queries())),
          total(zeros(s.group * s.most_queries())), q(new const float*[s.group * s.most_queries()]) {}

    void run(const Band& band, const ForwardImages& images) {
        bias.set(s, band);
        sweep(
            s, band, 0, s.H, [&](const Tile& tile, int64_t at) { begin(tile, at, images); },
            [&](int64_t y, int64_t end) {
                keys.fill(images.k, band, y, end);
                values.fill(images.v, band, y, end);
            },
            [&](const Tile& tile, int64_t at, int64_t y, int64_t end) { attend(band, tile, at, y, end); },
            [&](const Tile& tile, int64_t at) { finish(tile, at, images); });
    }

  private:
    // `at`: the place of the tile's first query in what is kept for a group
    void begin(const Tile& tile, int64_t at, const ForwardImages& images) {
        for (int64_t i = 0; i < tile.rows; i++) q[at + i] = images.q.at(tile.y(i), tile.x(i));
        std::fill_n(attended.get() + at * s.M, tile.rows * s.M, 0.0f);
        std::fill_n(top.get() + at, tile.rows, -__builtin_inff());
        std::fill_n(total.get() + at, tile.rows, 0.0f);
    }

    void attend(const Band& band, const Tile& tile, int64_t at, int64_t y, int64_t end) {
        const Run run = keys.from_row(y);
        const int64_t last = run.skip + (end - y) * band.cols();
        const Split groups((last + LANES - 1) / LANES, BLOCK_VECTORS), channels(s.M / LANES, BLOCK_VECTORS);
        for (int64_t g = 0; g < groups.parts; g++)
            for (int64_t b = 0; b < tile.blocks(); b++) {
                const int64_t first = tile.block(b), rows = tile.block(b + 1) - first, lane = groups[g] * LANES;
                const float* biases[BLOCK_ROWS];
                for (int64_t i = 0; i < rows; i++)
                    biases[i] = bias.of(band, tile.y(first + i), tile.x(first + i), y) - run.skip;
                logits(rows, groups[g + 1] - groups[g])(q.get() + at + first, run.data + lane, keys.ld, s.D / CELL, biases,
                                                        lane, logits_of_tile.get() + first * lds + lane, lds);
            }
        for (int64_t i = 0; i < tile.rows; i++)
            soften(logits_of_tile.get() + i * lds, run.skip, last, top[at + i], total[at + i],
                   attended.get() + (at + i) * s.M, s.M);
        const Pixels<const float> v = values.rows(y, end);
        for (int64_t c = 0; c < channels.parts; c++)
            for (int64_t b = 0; b < tile.blocks(); b++) {
                const int64_t first = tile.block(b);
                gather(tile.block(b + 1) - first, channels[c + 1] - channels[c])(
                    logits_of_tile.get() + first * lds + run.skip / CELL, lds, v, channels[c] * LANES,
                    attended.get() + (at + first) * s.M, s.M);
            }
    }

    void finish(const Tile& tile, int64_t at, const ForwardImages& images) {
        for (int64_t i = 0; i < tile.queries; i++) {
            const int64_t y = tile.y(i), x = tile.x(i);
            write(attended.get() + (at + i) * s.M, 1.0f / total[at + i], images.out.at(y, x), s.M);
            *images.lse.at(y, x) = top[at + i] * LOG2_E + std::log2(total[at + i]);
        }
    }
};

}  // namespace
