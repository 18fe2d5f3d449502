// Prints of every opcode: its cost in f32, and whether it has a link in chains and may end one.
#include "loops/loop_table.h"
#include "program/program.h"

#include <cstdio>

namespace gint::GINT_SIMD_NAMESPACE {
const LoopTable *table();
}

static const char *const NAMES[] = {
#define X(OP, NAME, ...) NAME,
    GI_OPCODES(X)
#undef X
};

int main() {
    const gint::ChainLoops &loops = gint::GINT_SIMD_NAMESPACE::table()->chain[GI_f32];
    gint::Instruction i{};
    i.type = GI_f32, i.b = 1;
    for (const char *name : NAMES) {
        const ChainOp link = gint::chain_op(i, 0);
        std::printf("%s %u %d %d\n", name, gint::op_cost(i),
                    link != CHAIN_OPS && loops.link[link][gint::CHAIN_PACKED],
                    loops.fold[i.op].link != nullptr);
        i.op++;
    }
}
