// The attended values: softmax over a chunk of keys at a time, with a running maximum and sum.
#pragma once

#include <cmath>

#include "packing.h"

namespace {

struct ForwardImages {
    Image<const float> q, k, v;
    Image<float> out, lse;
    bool add; // to what is in `out`
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
        // 0 when this is the first chunk it sees
        const Vector factor = power_of_two(broadcast((top - higher) * LOG2_E));
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

    // the queries of a band in the rows y0 to y1; `before` and `after`: the logits of the steps so far
    void run(const Band& band, int64_t y0, int64_t y1, const ForwardImages& images, Logs before, Logs after) {
        bias.set(s, band);
        sweep(
            s, band, y0, y1, [&](const Tile& tile, int64_t at) { begin(tile, at, images); },
            [&](int64_t y, int64_t end) {
                keys.fill(images.k, band, y, end);
                values.fill(images.v, band, y, end);
            },
            [&](const Tile& tile, int64_t at, Span rows) { attend(band, tile, at, rows, before, after); },
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

    void attend(const Band& band, const Tile& tile, int64_t at, Span rows, Logs& before, Logs& after) {
        const Run run = keys.from_row(rows.from);
        Chunk chunk(band, tile, bias, rows, run.skip);
        const int64_t end = run.skip + (rows.to - rows.from) * band.cols(), lanes = lanes_of(band, rows, run.skip);
        float* weights = logits_of_tile.get();
        if (before) {
            before.read(weights, lds, tile.rows, lanes);
            chunk.go_on_from(weights, lds, tile.rows);
        }
        chunk.each(end, [&](const auto& block, int64_t lane, int64_t vectors) {
            logits(block.rows, vectors)(q.get() + at + block.first, run.data + lane, keys.ld, s.D / CELL,
                                        chunk.biases(block), lane, weights + block.first * lds + lane, lds);
        });
        if (after) after.write(weights, lds, tile.rows, lanes);
        const Split channels(s.M / LANES, BLOCK_VECTORS);
        for (const auto& block : chunk) {
            const int64_t skip = block.begin % LANES, lane = block.begin - skip;
            for (int64_t i = block.first; i < block.first + block.rows; i++)
                soften(weights + i * lds + lane, skip, block.end - lane, top[at + i], total[at + i],
                       attended.get() + (at + i) * s.M, s.M);
            for (int64_t c = 0; c < channels.parts; c++)
                gather(block.rows, channels[c + 1] - channels[c])(
                    weights + block.first * lds + lane + skip / CELL, lds, values.rows(block.keys),
                    channels[c] * LANES, attended.get() + (at + block.first) * s.M, s.M);
        }
    }

    void finish(const Tile& tile, int64_t at, const ForwardImages& images) {
        for (int64_t i = 0; i < tile.queries; i++) {
            const int64_t y = tile.y(i), x = tile.x(i);
            write(attended.get() + (at + i) * s.M, 1.0f / total[at + i], images.out.at(y, x), s.M, images.add);
            *images.lse.at(y, x) = top[at + i] * LOG2_E + std::log2(total[at + i]);
        }
    }
};

}  // namespace
