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

// grad[key] += sum over the queries of p[query][key] a[query]; p and a are `count` cells of queries
void scatter_all(const float* p, int64_t ldp, int64_t count, const float* const* a, int64_t width,
                 const Pixels<float>& grad) {
    const Split channels(width / LANES, BLOCK_VECTORS), keys(grad.cols, BLOCK_ROWS);
    for (int64_t y = 0; y < grad.rows; y++)
        for (int64_t b = 0; b < keys.parts; b++)
            for (int64_t c = 0; c < channels.parts; c++) {
                const int64_t at = channels[c] * LANES;
                scatter(keys[b + 1] - keys[b], channels[c + 1] - channels[c])(
                    p + y * grad.cols + keys[b], ldp, count, a, at,
                    grad.data + y * grad.row + keys[b] * grad.ld + at, grad.ld);
            }
}

// One thread's work, with the space it needs
class Backward {
    const Shape s;
    const int64_t ldp;
    Bias bias;
    Packed keys, values;
    Strip keys_to_gather;
    Rows q_to_scatter, dout_to_scatter; // of a group of tiles
    Floats p, ds, ds_to_gather;         // of one tile
    Floats dq, lse, delta;              // of a group of tiles
    std::unique_ptr<const float*[]> q, dout;

  public:
    explicit Backward(const Shape& s)
        : s(s), ldp(s.logits_stride()), bias(s), keys(s, s.D), values(s, s.M), keys_to_gather(s, s.D),
          q_to_scatter(s.group * s.most_queries(), s.D), dout_to_scatter(s.group * s.most_queries(), s.M),
          p(zeros(s.most_queries() / CELL * ldp)), ds(zeros(s.most_queries() / CELL * ldp)),
          ds_to_gather(zeros(CELL == 1 ? 0 : s.most_queries() * (ldp / CELL))),
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
                keys_to_gather.fill(images.k, band, y, end);
            },
            [&](const Tile& tile, int64_t at, int64_t y, int64_t end) {
                differentiate(band, tile, at, y, end, images);
            },
            [&](const Tile& tile, int64_t at) { finish(tile, at, images); });
    }

  private:
    // `at`: the place of the tile's first query in what is kept for a group
    void begin(const Tile& tile, int64_t at, const BackwardImages& images) {
        for (int64_t i = 0; i < tile.rows; i++) {
            const int64_t y = tile.y(i), x = tile.x(i), cells = s.M / CELL;
            const float *grad = images.dout.at(y, x), *out = images.out.at(y, x);
            Vector product{};
            for (int64_t c = 0; c < cells; c += LANES)
                product = multiply_add(product, load(grad + c, cells - c), load(out + c, cells - c));
            q[at + i] = images.q.at(y, x);
            dout[at + i] = grad;
            delta[at + i] = sum(product);
            // a query that stands there a second time has weights of zero
            lse[at + i] = i < tile.queries ? *images.lse.at(y, x) : __builtin_inff();
        }
        q_to_scatter.set(at, &q[at], tile.rows);
        dout_to_scatter.set(at, &dout[at], tile.rows);
        std::fill_n(dq.get() + at * s.D, tile.rows * s.D, 0.0f);
    }

    void differentiate(const Band& band, const Tile& tile, int64_t at, int64_t y, int64_t end,
                       const BackwardImages& images) {
        const Run k_run = keys.from_row(y), v_run = values.from_row(y);
        const int64_t skip = k_run.skip, last = skip + (end - y) * band.cols();
        const Split groups((last + LANES - 1) / LANES, BLOCK_VECTORS), channels(s.D / LANES, BLOCK_VECTORS);
        const Map weights{p.get(), nullptr, ldp}, slopes_of_tile{ds.get(), ds_to_gather.get(), ldp};
        for (int64_t g = 0; g < groups.parts; g++)
            for (int64_t b = 0; b < tile.blocks(); b++) {
                const int64_t first = tile.block(b), rows = tile.block(b + 1) - first, lane = groups[g] * LANES;
                const float* biases[BLOCK_ROWS];
                for (int64_t i = 0; i < rows; i++)
                    biases[i] = bias.of(band, tile.y(first + i), tile.x(first + i), y) - skip;
                slopes(rows, groups[g + 1] - groups[g])(
                    q.get() + at + first, k_run.data + lane, keys.ld, s.D / CELL, biases, lane, lse.get() + at + first,
                    dout.get() + at + first, v_run.data + lane, values.ld, s.M / CELL, delta.get() + at + first,
                    weights, slopes_of_tile, first);
            }
        slopes_of_tile.trim(tile.rows, skip, last);
        const Pixels<const float> k = keys_to_gather.rows(y, end);
        const float* gathered = CELL == 1 ? ds.get() : ds_to_gather.get();
        for (int64_t c = 0; c < channels.parts; c++)
            for (int64_t b = 0; b < tile.blocks(); b++) {
                const int64_t first = tile.block(b);
                gather(tile.block(b + 1) - first, channels[c + 1] - channels[c])(
                    gathered + first * (ldp / CELL) + skip / CELL, ldp / CELL, k, channels[c] * LANES,
                    dq.get() + (at + first) * s.D, s.D);
            }
        scatter_all(ds.get() + skip, ldp, tile.rows / CELL, q_to_scatter.from(at), s.D,
                    images.dk.rectangle(y, end, band.left, band.right));
        scatter_all(p.get() + skip, ldp, tile.rows / CELL, dout_to_scatter.from(at), s.M,
                    images.dv.rectangle(y, end, band.left, band.right));
    }

    void finish(const Tile& tile, int64_t at, const BackwardImages& images) {
        for (int64_t i = 0; i < tile.queries; i++)
            write(dq.get() + (at + i) * s.D, 1.0f, images.dq.at(tile.y(i), tile.x(i)), s.D);
    }
};

}  // namespace
