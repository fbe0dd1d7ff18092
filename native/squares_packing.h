// The pixels of an image as the tiles in which the matrix unit reads them.
#pragma once

#include <sys/mman.h>

#include "squares.h"
#include "tiles.h"

namespace {

// Pointers to the pixels of squares; those outside the image are zeros
struct Pixel {
    const Image<const float>& image;
    const Grid& g;
    const float* zeros;
    const float* at(int64_t y, int64_t x) const {
        return y >= 0 && y < g.H && x >= 0 && x < g.W ? image.at(y, x) : zeros;
    }
    void queries(int64_t ty, int64_t tx, const float* (&to)[SQUARE]) const {
        for (int64_t i = 0; i < SQUARE; i++) to[i] = at(SIDE * ty + i / SIDE, SIDE * tx + i % SIDE);
    }
    void keys(int64_t gy, int64_t gx, const float** to) const {
        const int64_t top = SIDE * gy - g.y.reach, left = SIDE * gx - g.x.reach;
        for (int64_t y = top; y < top + SIDE; y++) {
            const bool inside = y >= 0 && y < g.H;
            const float* pixel = inside ? image.at(y, left) : nullptr;
            for (int64_t x = left; x < left + SIDE; x++, pixel += image.ld)
                *to++ = inside && x >= 0 && x < g.W ? pixel : zeros;
        }
    }
};

// Tiles [pixel][32 channels] of a square
void pack_rows(const float* const* pixels, int64_t cells, float* to) {
    for (int64_t c = 0; c < cells; c += ROW)
        for (int64_t i = 0; i < SQUARE; i++, to += ROW) store(to, load(pixels[i] + c, cells - c));
}

// Cells of the same channel of two pixels; 16 channels of them
INLINE Vector paired(const float* a, const float* b) {
    const auto wide = [](const float* cells) {
        return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(cells)));
    };
    return reinterpret_cast<Vector>(_mm512_or_si512(wide(a), _mm512_slli_epi32(wide(b), 16)));
}

// Tiles [16 channels][32 pixels] of a unit
void pack_columns(const float* const* pixels, int64_t channels, float* to) {
    for (int64_t c = 0; c < channels; c += ROW, to += TILE) {
        Vector square[LANES];
        for (int i = 0; i < LANES; i++) square[i] = paired(pixels[2 * i] + c / 2, pixels[2 * i + 1] + c / 2);
        transpose(square);
        for (int i = 0; i < LANES; i++) store(to + i * ROW, square[i]);
    }
}

// Tiles [pair of pixels][16 channels][2], of the pixels a[i] and b[i]
void pack_pairs(const float* const* a, const float* const* b, int64_t channels, float* to) {
    for (int64_t c = 0; c < channels; c += ROW, to += TILE)
        for (int64_t i = 0; i < SQUARE; i++) store(to + i * ROW, paired(a[i] + c / 2, b[i] + c / 2));
}

// Tiles [pair of channels][pixel][2] of a square; `to` holds zeros where the channels end within a tile
void pack_across(const float* const (&pixels)[SQUARE], int64_t channels, float* to) {
    pack(pixels, channels / 2, to, ROW);
}

// A tile of floats [channel][query], as pixels; `add`: to what is there
void write_columns(const float* tile, Vector factor, int64_t queries, float* const* to, bool add) {
    Vector square[LANES];
    for (int i = 0; i < LANES; i++) square[i] = load(tile + i * ROW) * factor;
    transpose(square);
    for (int64_t i = 0; i < SQUARE; i++)
        if (queries >> i & 1) store_rounded(to[i], add ? widened(to[i]) + square[i] : square[i]);
}

// What cutting off rounds to the nearest
INLINE Vector to_cut(Vector x) {
    return reinterpret_cast<Vector>(reinterpret_cast<Integers>(x) + 0x8000);
}
// The upper halves of two vectors, cell by cell
INLINE Vector cut(Vector a, Vector b) {
    const __m512i low = _mm512_srli_epi32(reinterpret_cast<__m512i>(a), 16);
    const __m512i upper = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000));
    // upper ? b : low
    return reinterpret_cast<Vector>(_mm512_ternarylogic_epi32(upper, reinterpret_cast<__m512i>(b), low, 0xca));
}
// The lower numbers of cells, and the upper ones
INLINE Vector lower(Vector a) { return reinterpret_cast<Vector>(reinterpret_cast<Integers>(a) << 16); }
INLINE Vector cut(Vector a) {
    return reinterpret_cast<Vector>(reinterpret_cast<Integers>(a) & static_cast<int32_t>(0xffff0000));
}

// Asks for large pages where nothing has been written yet: of small ones a map has tens of thousands
void in_large_pages(const void* memory, size_t bytes) {
    constexpr size_t PAGE = 1 << 21;
    const size_t at = reinterpret_cast<size_t>(memory), from = (at + PAGE - 1) / PAGE * PAGE;
    if (from + PAGE <= at + bytes)
        madvise(reinterpret_cast<void*>(from), (at + bytes - from) / PAGE * PAGE, MADV_HUGEPAGE);
}

// Room for floats, not set to anything
Floats room(int64_t count) {
    constexpr size_t PAGE = 1 << 21;
    const size_t bytes = std::max<size_t>(64, count * sizeof(float)), unit = bytes < PAGE / 8 ? 64 : PAGE;
    float* p = static_cast<float*>(std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit));
    if (!p) throw std::bad_alloc();
    in_large_pages(p, (bytes + unit - 1) / unit * unit);
    return Floats(p);
}

}  // namespace
