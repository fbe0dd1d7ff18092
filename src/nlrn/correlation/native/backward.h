// The gradients in one pass: a tile's weights are computed again from the saved log-sum-exp, its own gradient is
// gathered, and those of its keys and values are added where they lie. Tiles that run at the same time are far
// enough apart not to share keys, so the order of the additions is always the same.
#pragma once

#include "geometry.h"

namespace {

struct BackwardImages {
    Image<const float> q, k, v, out, dout, lse;
    Image<float> dq, dk, dv;
};

// grad[key] += sum over the queries of p[query][key] a[query]
void scatter_all(const Tile& tile, const float* p, int64_t ldp, const float* const* a, int64_t width,
                 const Pixels<float>& grad) {
    const Split channels(width / LANES, BLOCK_VECTORS), keys(grad.cols, BLOCK_ROWS);
    for (int64_t y = 0; y < grad.rows; y++)
        for (int64_t b = 0; b < keys.parts; b++)
            for (int64_t c = 0; c < channels.parts; c++) {
                const int64_t at = channels[c] * LANES;
                scatter(keys[b + 1] - keys[b], channels[c + 1] - channels[c])(
                    p + y * grad.cols + keys[b], ldp, tile.queries, a, at,
                    grad.data + y * grad.row + keys[b] * grad.ld + at, grad.ld);
            }
}

// One thread's work, with the space it needs
class Backward {
    const Shape s;
    const int64_t ldp;
    Bias bias;
    Packed keys, values;
    Floats p, ds;          // of one tile
    Floats dq, lse, delta; // of a group of tiles
    std::unique_ptr<const float*[]> q, dout;

  public:
    explicit Backward(const Shape& s)
        : s(s), ldp(s.logits_stride()), bias(s), keys(s, s.D, LOG2_E), values(s, s.M, 1.0f),
          p(zeros(s.most_queries() * ldp)), ds(zeros(s.most_queries() * ldp)),
          dq(zeros(s.group * s.most_queries() * s.D)), lse(zeros(s.group * s.most_queries())),
          delta(zeros(s.group * s.most_queries())), q(new const float*[s.group * s.most_queries()]),
          dout(new const float*[s.group * s.most_queries()]) {}

    // the queries of a band in the rows y0 to y1
    void run(const Band& band, int64_t y0, int64_t y1, const BackwardImages& images) {
        bias.set(s, band);
        sweep(
            s, band, y0, y1, [&](const Tile& tile, int64_t at) { begin(tile, at, images); },
            [&](int64_t y, int64_t end) {
                keys.fill(images.k, band, y, end);
                values.fill(images.v, band, y, end);
            },
            [&](const Tile& tile, int64_t at, int64_t y, int64_t end) {
                differentiate(band, tile, at, y, end, images);
            },
            [&](const Tile& tile, int64_t at) { finish(tile, at, images); });
    }

  private:
    // `at`: the place of the tile's first query in what is kept for a group
    void begin(const Tile& tile, int64_t at, const BackwardImages& images) {
        for (int64_t i = 0; i < tile.queries; i++) {
            const int64_t y = tile.y(i), x = tile.x(i);
            const float *grad = images.dout.at(y, x), *out = images.out.at(y, x);
            Vector product{};
            for (int64_t c = 0; c < s.M; c += LANES) product += load(grad + c) * load(out + c);
            q[at + i] = images.q.at(y, x);
            dout[at + i] = grad;
            delta[at + i] = sum(product);
            lse[at + i] = *images.lse.at(y, x);
        }
        std::fill_n(dq.get() + at * s.D, tile.queries * s.D, 0.0f);
    }

    void differentiate(const Band& band, const Tile& tile, int64_t at, int64_t y, int64_t end,
                       const BackwardImages& images) {
        const Run k_run = keys.from_row(y), v_run = values.from_row(y);
        const int64_t skip = k_run.skip, last = skip + (end - y) * band.cols();
        const Split groups((last + LANES - 1) / LANES, BLOCK_VECTORS), channels(s.D / LANES, BLOCK_VECTORS);
        for (int64_t g = 0; g < groups.parts; g++)
            for (int64_t b = 0; b < tile.blocks.parts; b++) {
                const int64_t first = tile.blocks[b], rows = tile.blocks[b + 1] - first;
                const int64_t lane = groups[g] * LANES, wide = groups[g + 1] - groups[g], to = first * ldp + lane;
                const float* biases[BLOCK_ROWS];
                for (int64_t i = 0; i < rows; i++)
                    biases[i] = bias.of(band, tile.y(first + i), tile.x(first + i), y) - skip;
                weights(rows, wide)(q.get() + at + first, k_run.data + lane, keys.ld, s.D, biases, lane,
                                    lse.get() + at + first, p.get() + to, ldp);
                slopes(rows, wide)(dout.get() + at + first, v_run.data + lane, values.ld, s.M,
                                   delta.get() + at + first, p.get() + to, ds.get() + to, ldp);
            }
        const Pixels<const float> k = images.k.rectangle(y, end, band.left, band.right);
        for (int64_t c = 0; c < channels.parts; c++)
            for (int64_t b = 0; b < tile.blocks.parts; b++) {
                const int64_t first = tile.blocks[b];
                gather(tile.blocks[b + 1] - first, channels[c + 1] - channels[c])(
                    ds.get() + first * ldp + skip, ldp, k, channels[c] * LANES, dq.get() + (at + first) * s.D, s.D);
            }
        scatter_all(tile, ds.get() + skip, ldp, q.get() + at, s.D,
                    images.dk.rectangle(y, end, band.left, band.right));
        scatter_all(tile, p.get() + skip, ldp, dout.get() + at, s.M,
                    images.dv.rectangle(y, end, band.left, band.right));
    }

    void finish(const Tile& tile, int64_t at, const BackwardImages& images) {
        for (int64_t i = 0; i < tile.queries; i++)
            std::copy_n(dq.get() + (at + i) * s.D, s.D, images.dq.at(tile.y(i), tile.x(i)));
    }
};

}  // namespace
