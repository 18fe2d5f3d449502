// One token from logits: the likeliest, or drawn after temperature, top-k and top-p. What each step
// means is airllm.tensor_ops.sampling's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gint {

// As the array that Python gives.
struct SamplingRule {
    double temperature; // 0: the likeliest token
    double top_k;       // 0: all
    double top_p, penalty;
    double drawn; // from 0 to below 1
};

// The token; `seen` then says that it occurred. The logits of those that had occurred are changed
// by the penalty.
size_t sample_token(const SamplingRule &rule, size_t count, float *logits, bool *seen);

} // namespace gint
