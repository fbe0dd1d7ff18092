// Registers of 4 floats, which every current processor has: SSE on x86-64 (16 of them), NEON on arm64 (32).
#define LANES 4
#define BLOCK_ROWS 6
#if defined(__aarch64__)
#define BLOCK_VECTORS 4
#else
#define BLOCK_VECTORS 2
#endif
#include "attention.h"

// importing the library as a Python module is an error, but the builders of some platforms ask for the symbol
EXPORT void* PyInit__portable() { return nullptr; }
