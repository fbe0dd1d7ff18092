// How the work of a call is shared among threads, and how its functions are made visible.
#pragma once

#include <algorithm>
#include <memory>
#include <new>

#include "vector.h"

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

// Runs work(worker, i) for i = 0 .. count - 1 on the threads, of which each has one worker. False: out of memory.
template <class Worker, class Sizes, class Work>
bool in_parallel(const Sizes& s, int64_t count, int threads, Work work) {
    bool failed = false;
#pragma omp parallel num_threads(static_cast<int>(std::min<int64_t>(threads, count))) if (count > 1 && threads > 1)
    {
        FlushDenormals flush;
        std::unique_ptr<Worker> worker;
        try {
            worker.reset(new Worker(s));
        } catch (const std::bad_alloc&) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < count; i++)
            if (worker) work(*worker, i);
    }
    return !failed;
}

}  // namespace
