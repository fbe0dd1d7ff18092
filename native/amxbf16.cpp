// 32 registers of 16 floats, or of 16 pairs of bf16 numbers, and the matrix unit
#define PAIRS
#define LANES 16
#define BLOCK_ROWS 6
#define BLOCK_VECTORS 4
#include "squares_attention.h"

// importing the library as a Python module is an error, but the builders of some platforms ask for the symbol
EXPORT void* PyInit__amxbf16() { return nullptr; }
