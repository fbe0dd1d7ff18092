// How an image is cut up. A band is a few columns of queries, swept from top to bottom in tiles of a few rows;
// the keys of a tile are the rectangle of pixels that its queries may see. The keys of a band are packed with
// the pixels of consecutive rows behind one another, so that the keys of a tile are one run of lanes.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "blocks.h"

namespace {

// Queries of a tile. Fewer waste less work on keys that only some of them see; more make better use of the packed
// keys. Measured for windows 15 to 45.
constexpr int64_t TILE_H = 4, TILE_W = 4;
// Logits of a tile that are held at once; with the keys and values of the moment they stay in the first cache
constexpr int64_t CHUNK_KEYS = 512;
// Keys that are packed together, by the bytes that are touched for them: packed and as they lie, they stay in the
// second cache while the tiles around them take their turns
constexpr int64_t UNIT_BYTES = 3 << 18;
// Tiles that take turns, and the bytes that are kept for all of them
constexpr int64_t GROUP_TILES = 16, GROUP_BYTES = 1 << 18;

struct Free {
    void operator()(float* p) const { std::free(p); }
};
typedef std::unique_ptr<float[], Free> Floats;

// Zeroed, so that the lanes behind the last key hold numbers
Floats zeros(int64_t count) {
    const size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    float* p = static_cast<float*>(std::aligned_alloc(64, std::max<size_t>(bytes, 64)));
    if (!p) throw std::bad_alloc();
    std::memset(p, 0, bytes);
    return Floats(p);
}

// Sizes of a call. Reaches are clipped to the image: a window may be larger.
struct Shape {
    int64_t B, H, W, D, M;
    int64_t reach_y, reach_x;
    int64_t tile_h, tile_w;
    int64_t unit_rows;  // rows of keys that are packed together
    int64_t chunk_rows; // rows of keys whose logits are held together
    int64_t group;      // tiles, one above the other, that take turns with each unit

    // cells touched for each key, and kept for each query
    Shape(int64_t B, int64_t H, int64_t W, int64_t D, int64_t M, int64_t window, int64_t per_key, int64_t per_query)
        : B(B), H(H), W(W), D(D), M(M), reach_y(std::min(window / 2, H - 1)), reach_x(std::min(window / 2, W - 1)),
          tile_h(std::min(TILE_H, H)), tile_w(std::min(TILE_W, W)),
          unit_rows(at_least_one(UNIT_BYTES / (4 * per_key * most_cols()))),
          chunk_rows(std::min(H, at_least_one(CHUNK_KEYS / most_cols()))),
          group(std::min(GROUP_TILES, at_least_one(GROUP_BYTES / (4 * per_query * most_queries())))) {
        group = std::min(group, Split(H, tile_h).parts);
        unit_rows = std::min(unit_rows, most_rows());
    }

    // of the keys of a group
    int64_t most_rows() const { return std::min(H, group * tile_h + 2 * reach_y); }
    int64_t most_cols() const { return std::min(W, tile_w + 2 * reach_x); }
    // of a tile, with one to fill the last cell
    int64_t most_queries() const { return (tile_h * tile_w + CELL - 1) / CELL * CELL; }
    // floats from one query's logits to the next's; never a multiple of the cache's set stride
    int64_t logits_stride() const { return chunk_rows * most_cols() / LANES * LANES + 2 * LANES + 16; }
    Split bands() const { return Split(W, tile_w); }

  private:
    static int64_t at_least_one(int64_t n) { return std::max<int64_t>(1, n); }
};

// One image of a batch whose pixels lie `ld` cells apart
template <class T>
struct Image {
    T* data;
    int64_t ld, W;
    T* at(int64_t y, int64_t x) const { return data + (y * W + x) * ld; }
    Pixels<T> rectangle(int64_t y0, int64_t y1, int64_t x0, int64_t x1) const {
        return {at(y0, x0), ld, W * ld, y1 - y0, x1 - x0};
    }
};

struct Band {
    int64_t x0, x1;      // queries
    int64_t left, right; // keys
    int64_t cols() const { return right - left; }
    Band(const Shape& s, int64_t i)
        : x0(s.bands()[i]), x1(s.bands()[i + 1]), left(std::max<int64_t>(0, x0 - s.reach_x)),
          right(std::min(s.W, x1 + s.reach_x)) {}
};

// Rows of an image, or rows of a matrix
struct Span {
    int64_t from, to;
};

class Tile {
    int64_t reach_y, width;
    int64_t query(int64_t row) const { return std::min(row, queries - 1); }

  public:
    int64_t y0, y1, x0;  // queries
    int64_t top, bottom; // rows of keys
    int64_t queries;
    int64_t rows; // a multiple of CELL: the last query may stand there twice
    Tile(const Shape& s, const Band& band, int64_t y0, int64_t y1)
        : reach_y(s.reach_y), width(band.x1 - band.x0), y0(y0), y1(y1), x0(band.x0),
          top(std::max<int64_t>(0, y0 - s.reach_y)), bottom(std::min(s.H, y1 + s.reach_y)),
          queries((y1 - y0) * width), rows((queries + CELL - 1) / CELL * CELL) {}
    int64_t y(int64_t row) const { return y0 + query(row) / width; }
    int64_t x(int64_t row) const { return x0 + query(row) % width; }
    // the rows of keys in `keys` that some of the queries in `some` see
    Span seen(Span some, Span keys) const {
        return {std::max(keys.from, y(some.from) - reach_y), std::min(keys.to, y(some.to - 1) + reach_y + 1)};
    }
    // the cells of queries of which some see the row y of keys
    Span cells_that_see(int64_t y) const {
        const int64_t from = std::max(y0, y - reach_y) - y0, to = std::min(y1, y + reach_y + 1) - y0;
        return {from * width / CELL, (to * width + CELL - 1) / CELL};
    }
};

// What to add to a logit: 0 where the query sees the key, else -inf. Along the rows of keys this is the same
// pattern for all queries of a column, shifted: one table for each column of the band.
class Bias {
    int64_t rows, reach_y, tile_h, cols = 0, stride;
    Floats table;

  public:
    explicit Bias(const Shape& s)
        : rows(2 * s.reach_y + 1 + 2 * (s.tile_h - 1)), reach_y(s.reach_y), tile_h(s.tile_h),
          stride(rows * s.most_cols() + 2 * LANES), table(zeros(stride * s.tile_w)) {}

    void set(const Shape& s, const Band& band) {
        cols = band.cols();
        for (int64_t x = band.x0; x < band.x1; x++) {
            float* t = table.get() + (x - band.x0) * stride + LANES;
            for (int64_t row = 0; row < rows; row++)
                for (int64_t c = band.left; c < band.right; c++) {
                    const bool seen = row >= tile_h - 1 && row <= tile_h - 1 + 2 * reach_y &&
                                      std::abs(c - x) <= s.reach_x;
                    *t++ = seen ? 0.0f : -__builtin_inff();
                }
        }
    }
    // The biases of the query at (y, x) towards the keys from the row `key_y` on. They may be read up to a register
    // before the first and behind the last, where they mean nothing.
    const float* of(const Band& band, int64_t y, int64_t x, int64_t key_y) const {
        return table.get() + (x - band.x0) * stride + LANES + (key_y - y + reach_y + tile_h - 1) * cols;
    }
};

// A tile's queries in blocks, and the keys that each of these sees among the rows of keys at hand. The keys stand
// along the lanes, those of the row `keys.from` from the lane `skip` on.
class Chunk {
    struct Block {
        int64_t first, rows; // queries
        Span keys;           // rows
        int64_t begin, end;  // lanes
    };
    const float* bias_of_row[TILE_H * TILE_W];
    Block blocks[TILE_H * TILE_W];
    int64_t count = 0;

  public:
    Chunk(const Band& band, const Tile& tile, const Bias& bias, Span keys, int64_t skip) {
        for (int64_t i = 0; i < tile.rows; i++)
            bias_of_row[i] = bias.of(band, tile.y(i), tile.x(i), keys.from) - skip;
        const Split cells(tile.rows / CELL, BLOCK_ROWS / CELL);
        for (int64_t b = 0; b < cells.parts; b++) {
            const Span some{cells[b] * CELL, cells[b + 1] * CELL}, seen = tile.seen(some, keys);
            if (seen.from < seen.to)
                blocks[count++] = {some.from, some.to - some.from, seen, skip + (seen.from - keys.from) * band.cols(),
                                   skip + (seen.to - keys.from) * band.cols()};
        }
    }
    // Logits of earlier steps, which have the biases in them, in place of the biases
    void go_on_from(const float* s, int64_t lds, int64_t rows) {
        for (int64_t i = 0; i < rows; i++) bias_of_row[i] = s + i * lds;
    }
    const Block* begin() const { return blocks; }
    const Block* end() const { return blocks + count; }
    const float* const* biases(const Block& block) const { return bias_of_row + block.first; }

    // work(block, first lane, vectors) for everything that is seen: all blocks for some keys, then for the next ones
    template <class Work>
    void each(int64_t lanes, Work work) const {
        const Split groups((lanes + LANES - 1) / LANES, BLOCK_VECTORS);
        for (int64_t g = 0; g < groups.parts; g++)
            for (const Block& block : *this) {
                const int64_t from = std::max(groups[g], block.begin / LANES);
                const int64_t to = std::min(groups[g + 1], (block.end + LANES - 1) / LANES);
                if (from < to) work(block, from * LANES, to - from);
            }
    }
};

// Sweeps a band from the row y0 to y1 in groups of tiles. `at` is the place of a tile's first query in its group:
// begin(tile, at), then for each unit of keys pack(first row, last + 1) and work(tile, at, rows) for each chunk of it
// that a tile sees, at last finish(tile, at).
template <class Begin, class Pack, class Work, class Finish>
void sweep(const Shape& s, const Band& band, int64_t y0, int64_t y1, Begin begin, Pack pack, Work work,
           Finish finish) {
    const Split tiles(y1 - y0, s.tile_h), groups(tiles.parts, s.group);
    for (int64_t g = 0; g < groups.parts; g++) {
        const int64_t first = groups[g], count = groups[g + 1] - first, each = s.most_queries();
        const auto tile = [&](int64_t i) { return Tile(s, band, y0 + tiles[first + i], y0 + tiles[first + i + 1]); };
        for (int64_t i = 0; i < count; i++) begin(tile(i), i * each);
        const int64_t top = tile(0).top, bottom = tile(count - 1).bottom;
        const Split units(bottom - top, s.unit_rows);
        for (int64_t u = 0; u < units.parts; u++) {
            pack(top + units[u], top + units[u + 1]);
            for (int64_t i = 0; i < count; i++) {
                const Tile t = tile(i);
                const int64_t from = std::max(top + units[u], t.top), to = std::min(top + units[u + 1], t.bottom);
                if (from >= to) continue;
                const Split chunks(to - from, s.chunk_rows);
                for (int64_t c = 0; c < chunks.parts; c++)
                    work(t, i * each, Span{from + chunks[c], from + chunks[c + 1]});
            }
        }
        for (int64_t i = 0; i < count; i++) finish(tile(i), i * each);
    }
}

// Horizontal parts of an image, at least as high as their keys reach to either side together: every other part has
// its keys to itself.
Split parts_of(const Shape& s) {
    return Split::in_parts(s.H, std::max<int64_t>(1, s.H / std::max<int64_t>(2 * s.reach_y, 32)));
}

// The lanes in which the keys of some rows stand
int64_t lanes_of(const Band& band, Span rows, int64_t skip) {
    return (skip + (rows.to - rows.from) * band.cols() + LANES - 1) / LANES * LANES;
}

// A map of logits, carried from call to call: those of each tile and chunk as they come in the sweep, [query][lane]
class Layout {
    int64_t bands;
    std::vector<int64_t> first; // of each part and band

  public:
    int64_t count = 0; // numbers for an image

    explicit Layout(const Shape& s) : bands(s.bands().parts) {
        const Split parts = parts_of(s);
        for (int64_t part = 0; part < parts.parts; part++)
            for (int64_t i = 0; i < bands; i++) {
                const Band band(s, i);
                int64_t row = 0;
                first.push_back(count);
                sweep(
                    s, band, parts[part], parts[part + 1], [](const Tile&, int64_t) {},
                    [&](int64_t y, int64_t) { row = y; },
                    [&](const Tile& tile, int64_t, Span rows) {
                        count += tile.rows * lanes_of(band, rows, (rows.from - row) * band.cols() % LANES);
                    },
                    [](const Tile&, int64_t) {});
            }
    }
    int64_t of(int64_t part, int64_t band) const { return first[part * bands + band]; }
};

// What a call reads of a map of logits, or of their gradients, or writes to one; null where there is none
class Logs {
    char* at;
    bool gradients;

    static int64_t bytes(int64_t numbers) { return numbers * (CELL == 1 ? 4 : 2); }

  public:
    Logs(void* map, int64_t first, bool gradients = false) : at(static_cast<char*>(map)), gradients(gradients) {
        if (at) at += bytes(first);
    }
    explicit operator bool() const { return at; }
    void read(float* s, int64_t lds, int64_t rows, int64_t lanes) {
        for (int64_t i = 0; i < rows; i++, at += bytes(lanes)) widen(at, s + i * lds, lanes, gradients);
    }
    void write(const float* s, int64_t lds, int64_t rows, int64_t lanes) {
        for (int64_t i = 0; i < rows; i++, at += bytes(lanes)) narrow(s + i * lds, at, lanes, gradients);
    }
};

}  // namespace
