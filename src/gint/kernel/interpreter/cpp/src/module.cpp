// Placeholder: proves that the best instruction set of this CPU is chosen at run time.
#include <cstddef>
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <string>
#include <vector>
#ifdef _OPENMP
#include <omp.h>
#endif

using Add = void(const float *, const float *, float *, std::size_t);
#define GINT_SIMD_UNIT(name, supported)                                                            \
    namespace gint::name {                                                                         \
    Add add;                                                                                       \
    }
#include "simd_units.inc"
#undef GINT_SIMD_UNIT

namespace {

struct Unit {
    std::string name;
    bool supported;
    Add *add;
};

const std::vector<Unit> &units() {
    static const std::vector<Unit> table = {
#define GINT_SIMD_UNIT(name, supported) {#name, bool(supported), gint::name::add},
#include "simd_units.inc"
#undef GINT_SIMD_UNIT
    };
    return table;
}

std::vector<std::string> instruction_sets() { // those this CPU can run, best first
    std::vector<std::string> names;
    for (const Unit &unit : units())
        if (unit.supported) names.push_back(unit.name);
    return names;
}

int threads() {
#ifdef _OPENMP
    int n = 1;
#pragma omp parallel
#pragma omp single
    n = omp_get_num_threads();
    return n;
#else
    return 1;
#endif
}

} // namespace

NB_MODULE(_native, m) {
    m.def("instruction_sets", &instruction_sets);
    m.def("threads", &threads);
}
