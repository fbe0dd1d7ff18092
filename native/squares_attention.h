// The functions of attention.h, by the matrix unit. Their arguments are described there; maps must begin at a whole
// line of the cache, 64 bytes. Results are the same bits for
// any number of threads: a square of queries always meets its keys in the same order.
#pragma once

#include <atomic>

#include "parallel.h"
#include "squares_backward.h"
#include "squares_forward.h"

namespace {

// Squares in a band: its queries share so many of their keys that these stay in the second cache
constexpr int64_t BAND = 4;

// One image of a batch
template <class T>
Image<T> image(T* data, int64_t b, int64_t ld, const Grid& g) {
    return {data + b * g.H * g.W * ld, ld, g.W};
}

// Keys and values of all images as tiles, for the units of a row
class Packer {
    const Grid g;
    std::vector<float> nothing, nan;

  public:
    explicit Packer(const Grid& g) : g(g), nothing(std::max(g.D, g.M)), nan(g.M) {
        const uint32_t cell = 0x7fc07fc0;
        for (float& x : nan) std::memcpy(&x, &cell, sizeof x);
    }

    // one(unit, pixels): for each unit of the row
    template <class One>
    void row(const Image<const float>& image, int64_t row, One one) const {
        const Pixel pixel{image, g, nothing.data()};
        const float* pixels[UNIT];
        for (int64_t gx = g.x.first; gx < g.x.last; gx++) {
            pixel.keys(2 * row, gx, pixels);
            pixel.keys(2 * row + 1, gx, pixels + SQUARE);
            one(g.unit(row, gx), pixels);
        }
    }
    void rows(const Image<const float>& image, int64_t r, int64_t channels, float* to) const {
        const int64_t size = (channels + 31) / 32 * TILE;
        row(image, r, [&](int64_t unit, const float* const* pixels) {
            for (int64_t half = 0; half < 2; half++)
                pack_rows(pixels + half * SQUARE, channels / 2, to + (2 * unit + half) * size);
        });
    }
    void columns(const Image<const float>& image, int64_t r, int64_t channels, float* to) const {
        row(image, r, [&](int64_t unit, const float* const* pixels) {
            pack_columns(pixels, channels, to + unit * channels / 16 * TILE);
        });
    }
    // The same for values. One whose key is not a number is made none either: its weight would be lost.
    void columns(const Image<const float>& image, const Image<const float>& keys, int64_t r, int64_t channels,
                 float* to) const {
        const float* key_pixels[UNIT];
        const Pixel key{keys, g, nothing.data()};
        row(image, r, [&](int64_t unit, const float** pixels) {
            const int64_t gx = g.x.first + unit % g.x.count();
            key.keys(2 * r, gx, key_pixels);
            key.keys(2 * r + 1, gx, key_pixels + SQUARE);
            if (!finite(key_pixels, UNIT))
                for (int64_t i = 0; i < UNIT; i++)
                    if (!finite(key_pixels + i, 1)) pixels[i] = nan.data();
            pack_columns(pixels, channels, to + unit * channels / 16 * TILE);
        });
    }
    bool finite(const float* const* keys, int64_t count) const {
        // zero times what is not finite is not a number
        Vector zero[2] = {};
        for (int64_t i = 0; i < count; i++)
            for (int64_t c = 0; c < g.D / 2; c += ROW)
                zero[i % 2] = multiply_add(zero[i % 2], load(keys[i] + c, g.D / 2 - c), Vector{});
        const Vector sum = zero[0] + zero[1];
        return !_mm512_cmp_ps_mask(sum, sum, _CMP_UNORD_Q);
    }
};

// False where there is none
bool has_room(Floats& floats, int64_t count, std::atomic<bool>& failed) {
    try {
        if (!floats) floats = room(count);
    } catch (const std::bad_alloc&) {
        failed = true;
    }
    return static_cast<bool>(floats);
}

int forward(const Grid& g, const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v, int64_t ldv,
            float* out, float* lse, const uint16_t* before, uint16_t* after, bool add, int threads) {
    ldq /= 2, ldk /= 2, ldv /= 2;
    const int64_t size_k = 2 * g.all_units() * g.depth_d * TILE, size_v = g.all_units() * g.tiles_m * TILE;
    const int64_t rows = g.units.to - g.units.from;
    const auto pack = [&](const Packer& packer, int64_t b, int64_t row, float* keys, float* values) {
        packer.rows(image(k, b, ldk, g), row, g.D, keys);
        packer.columns(image(v, b, ldv, g), image(k, b, ldk, g), row, g.M, values);
    };
    const Split bands(g.x.queries(), BAND);
    try {
        const Places places(g);
        if (after) in_large_pages(after, g.B * places.count() * 2);
        const Sights sights(g);
        const auto run = [&](Forward& forward, int64_t b, int64_t band, const float* keys, const float* values) {
            const int64_t map = b * places.count();
            const ForwardImages images{image(q, b, ldq, g), image(k, b, ldk, g), image(out, b, g.M / 2, g),
                                       image(lse, b, 1, g), add};
            const Shared shared{keys, values, before ? before + map : nullptr, after ? after + map : nullptr};
            for (int64_t ty = 0; ty < g.y.queries(); ty += 2)
                for (int64_t tx = bands[band]; tx < bands[band + 1]; tx++)
                    forward.run(ty, tx, images, shared, places, sights);
        };
        // many images: each is packed by the thread that needs it, into the same place again and again
        if (g.B >= 4 * threads) {
            const Packer packer(g);
            std::atomic<bool> failed{false};
            return !in_parallel<Forward>(g, g.B, threads, [&](Forward& forward, int64_t b) {
                if (!has_room(forward.own_keys, size_k, failed) || !has_room(forward.own_values, size_v, failed))
                    return;
                for (int64_t row = g.units.from; row < g.units.to; row++)
                    pack(packer, b, row, forward.own_keys.get(), forward.own_values.get());
                for (int64_t band = 0; band < bands.parts; band++)
                    run(forward, b, band, forward.own_keys.get(), forward.own_values.get());
            }) || failed;
        }
        const Floats keys = room(g.B * size_k), values = room(g.B * size_v);
        if (!in_parallel<Packer>(g, g.B * rows, threads, [&](Packer& packer, int64_t i) {
                const int64_t b = i / rows;
                pack(packer, b, g.units.from + i % rows, keys.get() + b * size_k, values.get() + b * size_v);
            }))
            return 1;
        return !in_parallel<Forward>(g, g.B * bands.parts, threads, [&](Forward& forward, int64_t i) {
            const int64_t b = i / bands.parts;
            run(forward, b, i % bands.parts, keys.get() + b * size_k, values.get() + b * size_v);
        });
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

// The sums for the keys of a row of units as gradients of pixels, from all parts of the image that have some
void write_sums(const Grid& g, int64_t row, const float* const* sums, int64_t parts, const Image<float>& dk,
                const Image<float>& dv) {
    for (int64_t gx = g.x.first; gx < g.x.last; gx++)
        for (int64_t i = 0; i < UNIT; i++) {
            const int64_t half = i / SQUARE, key = i % SQUARE;
            const int64_t y = SIDE * (2 * row + half) + key / SIDE - g.y.reach;
            const int64_t x = SIDE * gx + key % SIDE - g.x.reach;
            if (y < 0 || y >= g.H || x < 0 || x >= g.W) continue;
            const int64_t at = ((gx - g.x.first) * 2 + half) * (g.tiles_d + g.tiles_m) * TILE + key * ROW;
            float* to = dk.at(y, x);
            for (int64_t c = 0; c < g.tiles_d + g.tiles_m; c++, to += ROW) {
                if (c == g.tiles_d) to = dv.at(y, x);
                Vector sum = load(sums[0] + at + c * TILE);
                for (int64_t n = 1; n < parts; n++) sum += load(sums[n] + at + c * TILE);
                store(to, sum);
            }
        }
}

int backward(const Grid& g, const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v, int64_t ldv,
             const float* out, const float* lse, const float* dout, float* dq, float* dk, float* dv,
             const uint16_t* map, const uint16_t* later, uint16_t* earlier, int threads) {
    ldq /= 2, ldk /= 2, ldv /= 2;
    const int64_t squares = 2 * g.all_units(), size_k = squares * g.depth_d * TILE,
                  size_v = squares * g.depth_m * TILE, size_columns = g.all_units() * g.tiles_d * TILE;
    // An image of a large batch is the work of one thread. One of a small batch is cut into horizontal parts, each with
    // sums of its own for the keys that it sees, which are added at the end. Neither depends on the number of threads,
    // so the sums are always taken in the same order.
    const Split groups(g.y.queries(), 2 * GROUP_ROWS), across(g.x.queries(), group_cols(g));
    const int64_t least = std::max<int64_t>(2 * g.y.reach, 32);
    const Split parts = Split::in_parts(
        groups.parts, g.B < 8 ? std::max<int64_t>(1, std::min(groups.parts, g.H / least)) : 1);
    const auto seen = [&](int64_t part) { // rows of units
        const int64_t from = 2 * GROUP_ROWS * parts[part];
        const int64_t to = std::min(2 * GROUP_ROWS * parts[part + 1], g.y.queries());
        return Span{g.y.seen(from).from / 2, (g.y.seen(to - 1).to + 1) / 2};
    };
    const int64_t row_sums = g.x.count() * 2 * (g.tiles_d + g.tiles_m) * TILE, rows = g.units.to - g.units.from;
    const auto pack = [&](const Packer& packer, int64_t b, int64_t row, float* keys, float* values, float* columns) {
        packer.rows(image(k, b, ldk, g), row, g.D, keys);
        packer.rows(image(v, b, ldv, g), row, g.M, values);
        packer.columns(image(k, b, ldk, g), row, g.D, columns);
    };
    try {
        const Places places(g);
        if (earlier) in_large_pages(earlier, g.B * places.count() * 2);
        const Sights sights(g);
        const auto run = [&](Backward& backward, int64_t b, int64_t part, const float* keys, const float* values,
                             const float* columns, float* sums) {
            const BackwardImages images{image(q, b, ldq, g), image(out, b, g.M / 2, g), image(dout, b, g.M / 2, g),
                                        image(lse, b, 1, g), image(dq, b, g.D / 2, g)};
            const int64_t at = b * places.count();
            const BackwardShared shared{keys, values, columns, map ? map + at : nullptr, later ? later + at : nullptr,
                                        earlier ? earlier + at : nullptr};
            const Span some = seen(part);
            std::memset(sums, 0, (some.to - some.from) * row_sums * sizeof(float));
            for (int64_t n = parts[part]; n < parts[part + 1]; n++)
                for (int64_t c = 0; c < across.parts; c++)
                    backward.run(2 * GROUP_ROWS * n, std::min(2 * GROUP_ROWS * (n + 1), g.y.queries()), across[c],
                                 across[c + 1], images, shared, places, sights, sums, some.from);
        };
        if (parts.parts == 1) {
            const Packer packer(g);
            std::atomic<bool> failed{false};
            return !in_parallel<Backward>(g, g.B, threads, [&](Backward& backward, int64_t b) {
                if (!has_room(backward.own_keys, size_k, failed) || !has_room(backward.own_values, size_v, failed) ||
                    !has_room(backward.own_columns, size_columns, failed) ||
                    !has_room(backward.own_sums, rows * row_sums, failed))
                    return;
                float *keys = backward.own_keys.get(), *values = backward.own_values.get(),
                      *columns = backward.own_columns.get(), *sums = backward.own_sums.get();
                for (int64_t row = g.units.from; row < g.units.to; row++) pack(packer, b, row, keys, values, columns);
                run(backward, b, 0, keys, values, columns, sums);
                for (int64_t row = g.units.from; row < g.units.to; row++) {
                    const float* from = sums + (row - g.units.from) * row_sums;
                    write_sums(g, row, &from, 1, image(dk, b, g.D, g), image(dv, b, g.M, g));
                }
            }) || failed;
        }
        const Floats keys = room(g.B * size_k), values = room(g.B * size_v), columns = room(g.B * size_columns);
        std::vector<Floats> sums; // of each part
        for (int64_t i = 0; i < g.B * parts.parts; i++) {
            const Span some = seen(i % parts.parts);
            sums.push_back(room((some.to - some.from) * row_sums));
        }
        if (!in_parallel<Packer>(g, g.B * rows, threads, [&](Packer& packer, int64_t i) {
                const int64_t b = i / rows;
                pack(packer, b, g.units.from + i % rows, keys.get() + b * size_k, values.get() + b * size_v,
                     columns.get() + b * size_columns);
            }))
            return 1;
        if (!in_parallel<Backward>(g, g.B * parts.parts, threads, [&](Backward& backward, int64_t i) {
                const int64_t b = i / parts.parts;
                run(backward, b, i % parts.parts, keys.get() + b * size_k, values.get() + b * size_v,
                    columns.get() + b * size_columns, sums[i].get());
            }))
            return 1;
        return !in_parallel<Packer>(g, g.B * rows, threads, [&](Packer&, int64_t i) {
            const int64_t b = i / rows, row = g.units.from + i % rows;
            std::vector<const float*> from;
            for (int64_t part = 0; part < parts.parts; part++) {
                const Span some = seen(part);
                if (row >= some.from && row < some.to)
                    from.push_back(sums[b * parts.parts + part].get() + (row - some.from) * row_sums);
            }
            write_sums(g, row, from.data(), static_cast<int64_t>(from.size()), image(dk, b, g.D, g),
                       image(dv, b, g.M, g));
        });
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

}  // namespace

// Whether this process may use the matrix unit; must be asked before anything else
EXPORT int nlrn_permitted() { return may_use_tiles(); }

EXPORT int nlrn_attention_forward(const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v,
                                  int64_t ldv, float* out, float* lse, int64_t B, int64_t H, int64_t W, int64_t D,
                                  int64_t M, int64_t window, int threads) {
    return forward(Grid(B, H, W, D, M, window, false), q, ldq, k, ldk, v, ldv, out, lse, nullptr, nullptr, false,
                   threads);
}

EXPORT int nlrn_attention_backward(const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v,
                                   int64_t ldv, const float* out, const float* lse, const float* dout, float* dq,
                                   float* dk, float* dv, int64_t B, int64_t H, int64_t W, int64_t D, int64_t M,
                                   int64_t window, int threads) {
    return backward(Grid(B, H, W, D, M, window, false), q, ldq, k, ldk, v, ldv, out, lse, dout, dq, dk, dv, nullptr,
                    nullptr, nullptr, threads);
}

EXPORT int64_t nlrn_map_size(int64_t B, int64_t H, int64_t W, int64_t M, int64_t window) {
    return B * Places(Grid(B, H, W, 16, M, window, true)).count();
}

EXPORT int nlrn_map_forward(const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v, int64_t ldv,
                            float* out, float* lse, const void* before, void* after, int add, int64_t B, int64_t H,
                            int64_t W, int64_t D, int64_t M, int64_t window, int threads) {
    return forward(Grid(B, H, W, D, M, window, true), q, ldq, k, ldk, v, ldv, out, lse,
                   static_cast<const uint16_t*>(before), static_cast<uint16_t*>(after), add, threads);
}

EXPORT int nlrn_map_backward(const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v, int64_t ldv,
                             const float* out, const float* lse, const float* dout, float* dq, float* dk, float* dv,
                             const void* map, const void* later, void* earlier, int64_t B, int64_t H, int64_t W,
                             int64_t D, int64_t M, int64_t window, int threads) {
    return backward(Grid(B, H, W, D, M, window, true), q, ldq, k, ldk, v, ldv, out, lse, dout, dq, dk, dv,
                    static_cast<const uint16_t*>(map), static_cast<const uint16_t*>(later),
                    static_cast<uint16_t*>(earlier), threads);
}
