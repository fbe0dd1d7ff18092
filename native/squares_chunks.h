// What the forward pass by the matrix unit goes through: squares of keys that meet squares of queries, in chunks.
#pragma once

#include "squares_packing.h"

namespace {

// Units of keys whose weights are held at once, while those before them are used; both stay in the first cache
constexpr int64_t CHUNK_UNITS = 7;
// Sums of weights beyond it are too near to overflow
constexpr float LARGE = 0x1p100f;

// What all queries of an image share: its keys and values as tiles, and where the map of its logits begins
struct Shared {
    const float *keys, *values;
    const uint16_t* before;
    uint16_t* after;
};

struct ForwardImages {
    Image<const float> q, k;
    Image<float> out, lse;
    bool add; // to what is in `out`
};

// Adds the logits of the steps before, if there are any, and takes the sum to the map that is carried on, if one is
template <bool BEFORE, bool AFTER>
INLINE Vector carry(Vector s, const uint16_t* before, uint16_t* after) {
    if (BEFORE) s += _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(before)));
    if (AFTER)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(after), _mm512_cvtps_ph(s, _MM_FROUND_TO_NEAREST_INT));
    return s;
}

// A square of keys and one of queries that sees some of it
struct ForwardMeeting {
    const float* keys;
    const float* q;
    const uint16_t *rows, *cols; // who sees whom
    float* weights;              // half of a tile
    int64_t place;               // in the map
    int32_t u;                   // which of the two squares of queries
    bool whole;                  // all see all
};
// The sums of the weights are those of values of one: 1 and 2 are tiles of one row
struct Sums {
    int64_t first = 0; // which of the two squares of queries is the first of a task
    bool now = false;
    INLINE void operator()(bool second) const {
        if (!now) return;
        if (second || first)
            multiply_tiles<2, 3, 5>();
        else
            multiply_tiles<1, 3, 5>();
    }
    void next() { now = false; }
};

// Units whose turn it is together
struct ForwardChunk {
    ForwardMeeting meetings[4 * CHUNK_UNITS];
    int64_t count, units;
    Span who; // squares of queries that see some of them
    const float *values[CHUNK_UNITS], *weights[CHUNK_UNITS];
    float* unseen[2 * CHUNK_UNITS]; // halves of tiles of weights
    int64_t unseen_count;
};

}  // namespace
