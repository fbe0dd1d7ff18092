// 16 registers of 8 floats
#define LANES 8
#define BLOCK_ROWS 6
#define BLOCK_VECTORS 2
#include "attention.h"

// importing the library as a Python module is an error, but the builders of some platforms ask for the symbol
EXPORT void* PyInit__avx2() { return nullptr; }
