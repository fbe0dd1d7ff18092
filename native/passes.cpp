// What stands between two convolutions of the network in training, as one pass over features in bf16: a sum, a scale
// and a shift for each channel, and a ReLU. Features are pixel-major, [pixels, channels], channels a multiple of 16.
// They are vectors of the compiler's own; where it can, it makes them for several processors, and the one that loads
// the library chooses.
#define LANES 16
#include "parallel.h"

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

namespace {

// Pixels whose features stay in the first cache while their channels are gone through, LANES at a time
constexpr int64_t PIXELS = 32;

typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

INLINE Vector load(const uint16_t* from) {
    Halves x;
    std::memcpy(&x, from, sizeof x);
    return reinterpret_cast<Vector>(__builtin_convertvector(x, Bits) << 16);
}
// to the nearest bf16, of two as near to the even one
INLINE void store(uint16_t* to, const Vector& x) {
    const Bits bits = reinterpret_cast<Bits>(x);
    const Halves cut = __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, Halves);
    std::memcpy(to, &cut, sizeof cut);
}

struct Features {
    const uint16_t *a, *b; // `b` may be null
    const float *scale, *shift;
    int64_t channels;
    float least; // of a result: 0, or where there is no ReLU that of all floats

    INLINE Vector sum(int64_t at) const { return b ? load(a + at) + load(b + at) : load(a + at); }
};

FOR_EACH_PROCESSOR
void forward(const Features& f, uint16_t* out, int64_t from, int64_t to) {
    const Vector least = broadcast(f.least);
    for (int64_t pixel = from; pixel < to; pixel++)
        for (int64_t c = 0; c < f.channels; c += LANES) {
            const int64_t at = pixel * f.channels + c;
            const Vector x = f.sum(at) * load(f.scale + c) + load(f.shift + c);
            store(out + at, x < least ? least : x);
        }
}

FOR_EACH_PROCESSOR
void backward(const Features& f, const uint16_t* grad, uint16_t* dx, float* of_scale, float* of_shift, int64_t from,
              int64_t to) {
    const Vector least = broadcast(f.least);
    std::fill_n(of_scale, f.channels, 0.0f);
    std::fill_n(of_shift, f.channels, 0.0f);
    for (int64_t first = from; first < to; first += PIXELS)
        for (int64_t c = 0; c < f.channels; c += LANES) {
            const Vector scale = load(f.scale + c), shift = load(f.shift + c);
            Vector sum_scale = load(of_scale + c), sum_shift = load(of_shift + c);
            for (int64_t pixel = first; pixel < std::min(first + PIXELS, to); pixel++) {
                const int64_t at = pixel * f.channels + c;
                const Vector x = f.sum(at);
                const Vector slope = x * scale + shift > least ? load(grad + at) : Vector{};
                sum_scale += slope * x;
                sum_shift += slope;
                store(dx + at, slope * scale);
            }
            store(of_scale + c, sum_scale);
            store(of_shift + c, sum_shift);
        }
}

}  // namespace

// out = (a + b) scale + shift, and at least `least`. All functions: `parts` of about the same number of pixels are
// shared among the threads.
EXPORT void nlrn_scaled(const uint16_t* a, const uint16_t* b, const float* scale, const float* shift, uint16_t* out,
                        int64_t pixels, int64_t channels, float least, int64_t parts, int threads) {
    const Features features{a, b, scale, shift, channels, least};
#pragma omp parallel for num_threads(threads)
    for (int64_t part = 0; part < parts; part++)
        forward(features, out, pixels * part / parts, pixels * (part + 1) / parts);
}

// The gradient of a, which is that of b too, and those of scale and shift that each part finds, [parts, channels]
EXPORT void nlrn_scaled_backward(const uint16_t* a, const uint16_t* b, const float* scale, const float* shift,
                                 const uint16_t* grad, uint16_t* dx, float* of_scale, float* of_shift, int64_t pixels,
                                 int64_t channels, float least, int64_t parts, int threads) {
    const Features features{a, b, scale, shift, channels, least};
#pragma omp parallel for num_threads(threads)
    for (int64_t part = 0; part < parts; part++)
        backward(features, grad, dx, of_scale + part * channels, of_shift + part * channels, pixels * part / parts,
                 pixels * (part + 1) / parts);
}

// importing the library as a Python module is an error, but the builders of some platforms ask for the symbol
EXPORT void* PyInit__passes() { return nullptr; }
