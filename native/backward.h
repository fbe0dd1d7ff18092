// The gradients in one pass: a tile's weights are computed again from the saved log-sum-exp, its own gradient is
// gathered, and those of its keys and values are added where they lie. Tiles that run at the same time are far
// enough apart not to share keys, so the order of the additions is always the same.
#pragma once

#include "packing.h"

namespace {

// Of a step that carries logits on: its own logits, the gradient that the next step has for them (may be null) and
// the one that it has for the step before (may be null)
struct BackwardLogs {
    Logs logits, later, earlier;
};

struct BackwardImages {
    Image<const float> q, k, v, out, dout, lse;
    Image<float> dq, dk, dv;
};

// grad[key] += sum over the queries that see it of p[query][key] a[query]; p and a in cells of queries, the keys in
// the rows of the image from y on
void scatter_all(const Tile& tile, const float* p, int64_t ldp, const float* const* a, int64_t width, int64_t y,
                 const Pixels<float>& grad) {
    const Split channels(width / LANES, BLOCK_VECTORS), keys(grad.cols, BLOCK_ROWS);
    for (int64_t row = 0; row < grad.rows; row++, p += grad.cols) {
        const Span cells = tile.cells_that_see(y + row);
        for (int64_t b = 0; b < keys.parts; b++)
            for (int64_t c = 0; c < channels.parts; c++) {
                const int64_t at = channels[c] * LANES;
                scatter(keys[b + 1] - keys[b], channels[c + 1] - channels[c])(
                    p + cells.from * ldp + keys[b], ldp, cells.to - cells.from, a + cells.from, at,
                    grad.data + row * grad.row + keys[b] * grad.ld + at, grad.ld);
            }
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
    Floats carried, total;              // of one tile, where logits are carried: they and their gradient
    Floats dq, lse, delta;              // of a group of tiles
    std::unique_ptr<const float*[]> q, dout;

  public:
    explicit Backward(const Shape& s)
        : s(s), ldp(s.logits_stride()), bias(s), keys(s, s.D), values(s, s.M), keys_to_gather(s, s.D),
          q_to_scatter(s.group * s.most_queries(), s.D), dout_to_scatter(s.group * s.most_queries(), s.M),
          p(zeros(s.most_queries() / CELL * ldp)), ds(zeros(s.most_queries() / CELL * ldp)),
          ds_to_gather(zeros(CELL == 1 ? 0 : s.most_queries() * (ldp / CELL))),
          carried(zeros(s.most_queries() * ldp)), total(zeros(s.most_queries() * ldp)),
          dq(zeros(s.group * s.most_queries() * s.D)), lse(zeros(s.group * s.most_queries())),
          delta(zeros(s.group * s.most_queries())), q(new const float*[s.group * s.most_queries()]),
          dout(new const float*[s.group * s.most_queries()]) {}

    // the queries of a band in the rows y0 to y1
    void run(const Band& band, int64_t y0, int64_t y1, const BackwardImages& images, BackwardLogs logs) {
        bias.set(s, band);
        sweep(
            s, band, y0, y1, [&](const Tile& tile, int64_t at) { begin(tile, at, images); },
            [&](int64_t y, int64_t end) {
                if (!logs.logits) keys.fill(images.k, band, y, end);
                values.fill(images.v, band, y, end);
                keys_to_gather.fill(images.k, band, y, end);
            },
            [&](const Tile& tile, int64_t at, Span rows) { differentiate(band, tile, at, rows, images, logs); },
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

    void differentiate(const Band& band, const Tile& tile, int64_t at, Span rows, const BackwardImages& images,
                       BackwardLogs& logs) {
        const Run v_run = values.from_row(rows.from), k_run = logs.logits ? v_run : keys.from_row(rows.from);
        const int64_t skip = v_run.skip, end = skip + (rows.to - rows.from) * band.cols();
        const int64_t lanes = lanes_of(band, rows, skip);
        Chunk chunk(band, tile, bias, rows, skip);
        int64_t depth = s.D / CELL;
        if (logs.logits) {
            logs.logits.read(carried.get(), ldp, tile.rows, lanes);
            chunk.go_on_from(carried.get(), ldp, tile.rows);
            depth = 0;
            if (logs.later)
                logs.later.read(total.get(), ldp, tile.rows, lanes);
            else
                std::fill_n(total.get(), tile.rows * ldp, 0.0f);
        }
        const Map weights{p.get(), nullptr, ldp}, gradients{ds.get(), ds_to_gather.get(), ldp};
        chunk.each(end, [&](const auto& block, int64_t lane, int64_t vectors) {
            const int64_t first = at + block.first;
            slopes(block.rows, vectors)(q.get() + first, k_run.data + lane, keys.ld, depth, chunk.biases(block), lane,
                                        lse.get() + first, dout.get() + first, v_run.data + lane, values.ld,
                                        s.M / CELL, delta.get() + first,
                                        logs.logits ? total.get() + block.first * ldp : nullptr, ldp, weights,
                                        gradients, block.first);
        });
        if (logs.earlier) logs.earlier.write(total.get(), ldp, tile.rows, lanes);
        const Split channels(s.D / LANES, BLOCK_VECTORS);
        for (const auto& block : chunk) {
            gradients.trim(block.first, block.rows, block.begin, block.end);
            for (int64_t c = 0; c < channels.parts; c++)
                gather(block.rows, channels[c + 1] - channels[c])(
                    gradients.of_query(block.first) + block.begin / CELL, ldp / CELL,
                    keys_to_gather.rows(block.keys), channels[c] * LANES, dq.get() + (at + block.first) * s.D, s.D);
        }
        scatter_all(tile, ds.get() + skip, ldp, q_to_scatter.from(at), s.D, rows.from,
                    images.dk.rectangle(rows.from, rows.to, band.left, band.right));
        scatter_all(tile, p.get() + skip, ldp, dout_to_scatter.from(at), s.M, rows.from,
                    images.dv.rectangle(rows.from, rows.to, band.left, band.right));
    }

    void finish(const Tile& tile, int64_t at, const BackwardImages& images) {
        for (int64_t i = 0; i < tile.queries; i++)
            write(dq.get() + (at + i) * s.D, 1.0f, images.dq.at(tile.y(i), tile.x(i)), s.D, false);
    }
};

}  // namespace
