// The functions that the package calls, and how their work is shared among threads.
//
// All tensors are pixel-major, [B, H, W, channels], and lie in cells of 32 bits: one float32, or two bf16 numbers in
// a library for PAIRS; but lse, dk and dv are always float32. The pixels of q, k, v may lie further apart than their
// channels (ldq, ldk, ldv numbers, whole cells), all others are contiguous. D and M are multiples of 16.
// Returns 0, or 1 when memory ran out.
#pragma once

#include <cmath>

#include "backward.h"
#include "forward.h"
#include "parallel.h"

namespace {

// What is kept for each query and touched for each key, in cells. It decides how the work is cut up, and that must be
// the same for all calls that share a map: there it does not depend on D.
Shape shape_with_map(int64_t B, int64_t H, int64_t W, int64_t D, int64_t M, int64_t window) {
    return Shape(B, H, W, D, M, window, (128 + M) / CELL + 64 + M, M);
}

int forward(const Shape& s, const Split& parts, const Layout* layout, const float* q, int64_t ldq, const float* k,
            int64_t ldk, const float* v, int64_t ldv, float* out, float* lse, const void* before, void* after,
            bool add, int threads) {
    const int64_t bands = s.bands().parts, pixels = s.H * s.W, ldo = s.M / CELL;
    ldq /= CELL, ldk /= CELL, ldv /= CELL;
    return !in_parallel<Forward>(s, s.B * bands, threads, [&](Forward& forward, int64_t i) {
        const int64_t b = i / bands, band = i % bands;
        const ForwardImages images{{q + b * pixels * ldq, ldq, s.W},
                                   {k + b * pixels * ldk, ldk, s.W},
                                   {v + b * pixels * ldv, ldv, s.W},
                                   {out + b * pixels * ldo, ldo, s.W},
                                   {lse + b * pixels, 1, s.W},
                                   add};
        for (int64_t part = 0; part < parts.parts; part++) {
            const int64_t first = layout ? b * layout->count + layout->of(part, band) : 0;
            forward.run(Band(s, band), parts[part], parts[part + 1], images,
                        Logs(const_cast<void*>(before), first), Logs(after, first));
        }
    });
}

int backward(const Shape& s, const Layout* layout, const float* q, int64_t ldq, const float* k, int64_t ldk,
             const float* v, int64_t ldv, const float* out, const float* lse, const float* dout, float* dq, float* dk,
             float* dv, const void* map, const void* later, void* earlier, int threads) {
    const int64_t B = s.B, D = s.D, M = s.M, W = s.W;
    const int64_t pixels = s.H * W, bands = s.bands().parts, ldo = M / CELL, lddq = D / CELL;
    ldq /= CELL, ldk /= CELL, ldv /= CELL;
    std::fill_n(dk, B * pixels * D, 0.0f);
    std::fill_n(dv, B * pixels * M, 0.0f);
    // Every other part has its keys to itself. A large batch is work enough: the odd parts follow the even ones. In a
    // small batch all run at once, and the odd ones have gradients of their own, added at the end. Neither depends on
    // the number of threads, so the sums are always taken in the same order.
    const Split parts = parts_of(s);
    const bool together = parts.parts > 1 && B < 8;
    Floats odd_dk, odd_dv;
    try {
        if (together) {
            odd_dk = zeros(B * pixels * D);
            odd_dv = zeros(B * pixels * M);
        }
    } catch (const std::bad_alloc&) {
        return 1;
    }
    const auto run = [&](Backward& backward, int64_t b, int64_t part) {
        const bool apart = together && part % 2;
        float *dk_part = apart ? odd_dk.get() : dk, *dv_part = apart ? odd_dv.get() : dv;
        const BackwardImages images{{q + b * pixels * ldq, ldq, W}, {k + b * pixels * ldk, ldk, W},
                                    {v + b * pixels * ldv, ldv, W}, {out + b * pixels * ldo, ldo, W},
                                    {dout + b * pixels * ldo, ldo, W}, {lse + b * pixels, 1, W},
                                    {dq + b * pixels * lddq, lddq, W}, {dk_part + b * pixels * D, D, W},
                                    {dv_part + b * pixels * M, M, W}};
        for (int64_t n = 0; n < bands; n++) {
            const int64_t first = layout ? b * layout->count + layout->of(part, n) : 0;
            backward.run(Band(s, n), parts[part], parts[part + 1], images,
                         {Logs(const_cast<void*>(map), first), Logs(const_cast<void*>(later), first, true),
                          Logs(earlier, first, true)});
        }
    };
    // all parts, or the even ones and then the odd ones
    const int64_t rounds = together ? 1 : std::min<int64_t>(2, parts.parts);
    for (int64_t round = 0; round < rounds; round++) {
        const int64_t some = (parts.parts + rounds - 1 - round) / rounds;
        if (!in_parallel<Backward>(s, B * some, threads, [&](Backward& backward, int64_t i) {
                run(backward, i / some, rounds * (i % some) + round);
            }))
            return 1;
    }
    if (together) {
        const auto add = [&](float* to, const float* from, int64_t count) {
#pragma omp parallel for num_threads(threads)
            for (int64_t i = 0; i < count; i++) to[i] += from[i];
        };
        add(dk, odd_dk.get(), B * pixels * D);
        add(dv, odd_dv.get(), B * pixels * M);
    }
    return 0;
}

}  // namespace

EXPORT int nlrn_attention_forward(const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v,
                                  int64_t ldv, float* out, float* lse, int64_t B, int64_t H, int64_t W, int64_t D,
                                  int64_t M, int64_t window, int threads) {
    const Shape s(B, H, W, D, M, window, (D + M) / CELL, M);
    return forward(s, Split(H, H), nullptr, q, ldq, k, ldk, v, ldv, out, lse, nullptr, nullptr, false, threads);
}

EXPORT int nlrn_attention_backward(const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v,
                                   int64_t ldv, const float* out, const float* lse, const float* dout, float* dq,
                                   float* dk, float* dv, int64_t B, int64_t H, int64_t W, int64_t D, int64_t M,
                                   int64_t window, int threads) {
    const Shape s(B, H, W, D, M, window, (2 * D + M) / CELL + D + M, D);
    return backward(s, nullptr, q, ldq, k, ldk, v, ldv, out, lse, dout, dq, dk, dv, nullptr, nullptr, nullptr,
                    threads);
}

// The same with a map of logits that is carried from call to call, so that each adds only its own. The map is one for
// all calls of the same B, H, W, M and window; it means nothing to anyone else. Its numbers are floats, or in a library
// for PAIRS halves; those of maps of gradients, which may be very small, then bf16.

// Numbers in a map
EXPORT int64_t nlrn_map_size(int64_t B, int64_t H, int64_t W, int64_t M, int64_t window) {
    return B * Layout(shape_with_map(B, H, W, LANES, M, window)).count;
}

// `before` may be null (the first call of all) or the same as `after`, which may be null (the last call). `add`: the
// attended values are added to what is in `out`.
EXPORT int nlrn_map_forward(const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v, int64_t ldv,
                            float* out, float* lse, const void* before, void* after, int add, int64_t B, int64_t H,
                            int64_t W, int64_t D, int64_t M, int64_t window, int threads) {
    const Shape s = shape_with_map(B, H, W, D, M, window);
    const Layout layout(s);
    return forward(s, parts_of(s), &layout, q, ldq, k, ldk, v, ldv, out, lse, before, after, add, threads);
}

// `map`: as the forward call left it. `later`: the gradient of the map that the next call left, or null; `earlier`:
// that of the map before, or null where there was none.
EXPORT int nlrn_map_backward(const float* q, int64_t ldq, const float* k, int64_t ldk, const float* v, int64_t ldv,
                             const float* out, const float* lse, const float* dout, float* dq, float* dk, float* dv,
                             const void* map, const void* later, void* earlier, int64_t B, int64_t H, int64_t W,
                             int64_t D, int64_t M, int64_t window, int threads) {
    const Shape s = shape_with_map(B, H, W, D, M, window);
    const Layout layout(s);
    return backward(s, &layout, q, ldq, k, ldk, v, ldv, out, lse, dout, dq, dk, dv, map, later, earlier, threads);
}
