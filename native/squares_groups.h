// What the backward pass by the matrix unit goes through: groups of pairs of squares of queries, and the squares of
// keys that they meet.
#pragma once

#include "squares_packing.h"

namespace {

// Pairs of squares in a group, and units of keys whose weights are held at once. Measured: a smaller group reads and
// writes the sums for its keys more often, which the second cache does not hold; but where maps are read, longer runs
// of them matter more.
constexpr int64_t GROUP_ROWS = 2, MOST_GROUP = GROUP_ROWS * 8, MOST_CHUNK = 8, MOST_WEIGHTS = 32;
int64_t group_cols(const Grid& g) { return g.map ? 2 : 8; }
int64_t chunk_cols(const Grid& g) { return MOST_WEIGHTS / (GROUP_ROWS * group_cols(g)); }

struct BackwardImages {
    Image<const float> q, out, dout, lse;
    Image<float> dq;
};

// What all queries of an image share, as tiles: keys and values [key][channel], keys [channel][key]. And where what
// concerns the map begins: its logits, the gradients of later steps and those for the step before; each may be null.
struct BackwardShared {
    const float *keys, *values, *key_columns;
    const uint16_t *map, *later;
    uint16_t* earlier;
};

// Two squares of queries, the second of which may be missing
struct Pair {
    const Sight *rows[2], *cols;
    int64_t ty, tx, squares, places[2];
    float *q, *dout;             // [pair of channels][query]
    float *q_pairs, *dout_pairs; // [pair of queries][channel]
    float* dq;                   // [channel][query]
    alignas(64) Vector bias[2], delta[2]; // of the powers: from the log-sum-exp
    bool sees(int64_t gy) const { return rows[0]->sees(gy) || (squares > 1 && rows[1]->sees(gy)); }
};
// A square of keys and a pair that sees some of it
struct BackwardMeeting {
    const float *keys, *values;
    const uint16_t *rows[2], *cols; // who sees whom
    bool whole;                     // all see all
    float *p, *ds;                  // [key][pair of queries]
    float* ds_columns;              // [pair of keys][query], half of a tile each, two tiles
    const uint16_t *map[2], *later[2];
    uint16_t* earlier[2];
};

// Logits from a map, which holds halves
INLINE Vector carried_logits(const uint16_t* from) {
    return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(from)));
}
// Their gradients go to a map of bf16: halves would lose the small ones
INLINE void carry_on(uint16_t* to, Vector x) {
    const __m256i numbers = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), numbers); // too much for any cache
}

}  // namespace
