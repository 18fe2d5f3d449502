#include "layout/positions.h"

#include <algorithm>

namespace gint {

namespace {

constexpr int DEEPEST = 8; // expressions that are worth following

class Follower {
  public:
    Follower(const Program &program, const Binding &b) : p(program), binding(b) {}

    std::optional<LinearIndex> of(uint16_t reg, int depth = 0) const {
        const auto in = std::find_if(p.code.begin(), p.code.end(), [&](const Instruction &i) {
            return i.d == reg && i.op != GI_OP_STORE;
        });
        if (in == p.code.end() || in->type != GI_i64 || depth > DEEPEST) return {};
        LinearIndex out;
        switch (in->op) {
        case GI_OP_CONST:
            out.constant = in->imm;
            return out;
        case GI_OP_EXTENT:
            out.constant = binding.extents[in->n];
            return out;
        case GI_OP_INDEX:
            out.per_axis[in->n] = 1;
            return out;
        case GI_OP_ADD:
        case GI_OP_SUB:
        case GI_OP_MUL:
            break;
        default:
            return {};
        }
        const auto a = of(in->a, depth + 1), b = of(in->b, depth + 1);
        if (!a || !b) return {};
        if (in->op == GI_OP_ADD) return sum(*a, *b);
        if (in->op == GI_OP_SUB) return sum(*a, product(*b, -1));
        if (is_constant(*b)) return product(*a, b->constant);
        if (is_constant(*a)) return product(*b, a->constant);
        return {};
    }

  private:
    const Program &p;
    const Binding &binding;

    static bool is_constant(const LinearIndex &x) {
        return std::all_of(x.per_axis, x.per_axis + MAX_AXES, [](int64_t k) { return k == 0; });
    }
    // Integers wrap.
    static int64_t add(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
    static int64_t multiply(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }
    static LinearIndex sum(LinearIndex a, const LinearIndex &b) {
        a.constant = add(a.constant, b.constant);
        for (int k = 0; k < MAX_AXES; k++) a.per_axis[k] = add(a.per_axis[k], b.per_axis[k]);
        return a;
    }
    static LinearIndex product(LinearIndex a, int64_t by) {
        a.constant = multiply(a.constant, by);
        for (int64_t &k : a.per_axis) k = multiply(k, by);
        return a;
    }
};

} // namespace

std::optional<LinearIndex> linear_index(const Program &program, const Binding &binding,
                                        uint16_t reg) {
    return Follower(program, binding).of(reg);
}

} // namespace gint
