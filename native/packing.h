// The pixels of an image in the orders in which the products of blocks.h read them, for as long as they are needed.
#pragma once

#include "geometry.h"

namespace {

// The channels of some pixels, from pixel-major to channel-major, `count` cells of them
void pack(const float* const (&pixels)[LANES], int64_t count, float* packed, int64_t ld) {
    for (int64_t c = 0; c < count; c += LANES) {
        Vector square[LANES];
        for (int i = 0; i < LANES; i++) square[i] = load(pixels[i] + c, count - c);
        transpose(square);
        for (int i = 0; i < std::min<int64_t>(LANES, count - c); i++) store(packed + (c + i) * ld, square[i]);
    }
}

// Keys along the lanes, the first of them in the lane `skip`: so the loads are aligned
struct Run {
    const float* data;
    int64_t skip;
};

// Some rows of a band's keys (or of its values, for the backward pass), [cell of channels][row][column]
class Packed {
    int64_t count, row = 0, cols = 0;
    Floats packed;

  public:
    int64_t ld;

    Packed(const Shape& s, int64_t channels)
        : count(channels / CELL),
          ld((s.unit_rows * s.most_cols() + LANES - 1) / LANES * LANES + LANES * BLOCK_VECTORS) {
        if (ld % 256 == 0) ld += LANES; // rows a multiple of 1 KB apart would share cache sets
        packed = zeros(count * ld + LANES * BLOCK_VECTORS);
    }

    void fill(const Image<const float>& image, const Band& band, int64_t y0, int64_t y1) {
        row = y0;
        cols = band.cols();
        const float* pixels[LANES];
        float* to = packed.get();
        int n = 0;
        for (int64_t y = y0; y < y1; y++)
            for (int64_t x = band.left; x < band.right; x++) {
                pixels[n++] = image.at(y, x);
                if (n == LANES) {
                    pack(pixels, count, to, ld);
                    to += LANES;
                    n = 0;
                }
            }
        if (n) {
            for (int i = n; i < LANES; i++) pixels[i] = pixels[n - 1];
            pack(pixels, count, to, ld);
        }
    }

    // the keys from the row y on
    Run from_row(int64_t y) const {
        const int64_t first = (y - row) * cols, skip = first % LANES;
        return {packed.get() + first - skip, skip};
    }
};

#if CELL == 1

// Some rows of a band's keys, as a sum over the keys reads them: in float32 as they lie in the image
class Strip {
    Image<const float> image{};
    int64_t left = 0, right = 0;

  public:
    Strip(const Shape&, int64_t) {}
    void fill(const Image<const float>& whole, const Band& band, int64_t, int64_t) {
        image = whole;
        left = band.left;
        right = band.right;
    }
    Pixels<const float> rows(Span keys) const { return image.rectangle(keys.from, keys.to, left, right); }
};

// The queries of a group of tiles, as a sum over the queries reads them: in float32 as they lie in the image
class Rows {
    std::unique_ptr<const float*[]> pixels;

  public:
    Rows(int64_t queries, int64_t) : pixels(new const float*[queries]) {}
    void set(int64_t at, const float* const* queries, int64_t count) { std::copy_n(queries, count, &pixels[at]); }
    const float* const* from(int64_t at) const { return &pixels[at]; }
};

#else

// Some rows of a band's keys, as a sum over the keys reads them: [pair of keys][channel]
class Strip {
    int64_t channels, row = 0, cols = 0;
    Floats pairs;

  public:
    Strip(const Shape& s, int64_t channels)
        : channels(channels), pairs(zeros((s.unit_rows * s.most_cols() + 1) / 2 * channels)) {}

    void fill(const Image<const float>& image, const Band& band, int64_t y0, int64_t y1) {
        row = y0;
        cols = band.cols();
        const float* before = nullptr;
        float* to = pairs.get();
        for (int64_t y = y0; y < y1; y++)
            for (int64_t x = band.left; x < band.right; x++) {
                const float* pixel = image.at(y, x);
                if (before) {
                    pair_up(before, pixel, to, channels);
                    to += channels;
                    before = nullptr;
                } else {
                    before = pixel;
                }
            }
        // no weight but zero meets the second of these
        if (before) pair_up(before, before, to, channels);
    }

    // One line of pairs. The first may begin with the key before, the last may end with the one behind.
    Pixels<const float> rows(Span keys) const {
        const int64_t first = (keys.from - row) * cols / 2, behind = ((keys.to - row) * cols + 1) / 2;
        return {pairs.get() + first * channels, channels, 0, 1, behind - first};
    }
};

// The queries of a group of tiles, as a sum over the queries reads them: [pair of queries][channel]
class Rows {
    int64_t channels;
    Floats cells;
    std::unique_ptr<const float*[]> pairs;

  public:
    Rows(int64_t queries, int64_t channels)
        : channels(channels), cells(zeros(queries / 2 * channels)), pairs(new const float*[queries / 2]) {
        for (int64_t i = 0; i < queries / 2; i++) pairs[i] = cells.get() + i * channels;
    }
    void set(int64_t at, const float* const* queries, int64_t count) {
        for (int64_t i = 0; i < count; i += 2)
            pair_up(queries[i], queries[i + 1], cells.get() + (at + i) / 2 * channels, channels);
    }
    const float* const* from(int64_t at) const { return &pairs[at / 2]; }
};

#endif

}  // namespace
