// Every kernel as one translation unit. The native build compiles it once for each instruction set, each into a
// namespace of its own (XL_ISA), so that one library holds them all.
#ifdef XL_ISA
#define xl XL_ISA
#endif

#include "interpreter.cc"

#include "missing.cc"
