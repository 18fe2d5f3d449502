// A program as the interpreter holds it: what the verifier proved, decoded into plain arrays.
// Knows opcodes and sections. Does not know sizes, memory, tiles or Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "isa.inc"

namespace gint {

constexpr int MAX_AXES = GI_MAX_AXES;
constexpr int64_t MAX_POINTS = GI_MAX_POINTS;
constexpr uint16_t NO_REGISTER = GI_NO_REGISTER;
using AxisSet = uint32_t; // one bit per axis

enum class SectionKind : uint8_t {
    MAP = GI_SECTION_MAP,
    REDUCE = GI_SECTION_REDUCE,
    SCALAR = GI_SECTION_SCALAR,
};

struct Instruction { // as encoded; imm has the bits of an i64, or of an f64 for float types
#define X(T, FIELD) T FIELD;
    GI_INSTRUCTION(X)
#undef X
};
static_assert(sizeof(Instruction) == GI_INSTRUCTION_SIZE);

struct Slot {
    uint8_t type;
    bool reads, writes; // as declared
    bool used;          // by any instruction
    bool stored;        // by any instruction
    std::vector<uint8_t> axes;
    std::vector<uint8_t> indexed; // which of `axes` are: gathers say where along them
};

struct Section {
    SectionKind kind;
    uint32_t first, count; // in Program::code
};

struct Program {
    std::vector<bool> reduced; // per axis
    AxisSet indexed = 0;       // axes that are dimensions of slots alone, not iterated over
    std::vector<Slot> slots;
    std::vector<uint8_t> params; // types
    std::vector<Section> sections;
    std::vector<Instruction> code;
    std::vector<uint8_t> register_types;
    std::vector<bool> may_fail; // per instruction of `code`: sets the error flag for some operands
    AxisSet positions_read = 0;
    AxisSet reduced_set = 0;
    bool has_reduction = false; // any reduce section
    bool has_scan = false;
    // Of the busiest section, for tile sizes: what it moves or holds at once, and what of it lies
    // in memory from one step to a later one.
    uint32_t bytes_per_element = 4, bytes_between = 4;

    // Checks what decoding relies on and fills the derived fields; throws std::invalid_argument.
    void finish();
};

// Facts of types and opcodes, from the generated header.
size_t type_size(uint8_t type);
uint8_t compute_type(uint8_t type);
inline bool is_storage_only(uint8_t type) { return compute_type(type) != type; }
int operand_count(const Instruction &i);
bool is_gather(uint16_t op);
bool fills_outside(uint16_t op); // a gather with a value for positions outside
bool is_reduction(uint16_t op);
bool is_scan(uint16_t op);
bool is_index_reduction(uint16_t op);
// Time of one element, in units of a cheap float32 operation in the L1 cache (about 0.04 ns).
unsigned op_cost(const Instruction &i);
// The link of a chain whose accumulator is operand `acc` (0 or 1) of an instruction, and the other
// operand too where both are the same; CHAIN_OPS where there is none.
ChainOp chain_op(const Instruction &i, int acc);

inline unsigned log2_size(size_t size) { return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3; }

} // namespace gint
