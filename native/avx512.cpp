// 32 registers of 16 floats
#define LANES 16
#define BLOCK_ROWS 6
#define BLOCK_VECTORS 4
#include "attention.h"

// importing the library as a Python module is an error, but the builders of some platforms ask for the symbol
EXPORT void* PyInit__avx512() { return nullptr; }
