// Every kernel as one translation unit. The native build compiles it once for each instruction set, each into a
// namespace of its own (XL_ISA), so that one library holds them all.
#ifdef XL_ISA
#define xl XL_ISA
#endif

#include "attention.cc"
#include "block_linear.cc"
#include "conv.cc"
#include "delta_scan.cc"
#include "embedding.cc"
#include "gated_norm.cc"
#include "gemm.cc"
#include "interpreter.cc"
#include "linear_scan.cc"
#include "loss.cc"
#include "map.cc"
#include "mlstm_backward.cc"
#include "mlstm_forward.cc"
#include "mlstm_projections.cc"
#include "mlstm_step.cc"
#include "norm.cc"
#include "optimizer.cc"
#include "packed_linear.cc"
#include "recurrent_backward.cc"
#include "recurrent_forward.cc"
#include "reduce.cc"
#include "rotate.cc"
#include "selective_scan.cc"
