// Chains: consecutive arithmetic of which each result is the next instruction's operand and nobody
// else's becomes one step (see loops/chain.cpp). At most one chain is open at a time; while it
// is, its operands keep their places, and only expansions may be emitted before it.
#include "schedule/scheduler.h"

namespace gint {

namespace {

constexpr size_t LONGEST_CHAIN = 30;

} // namespace

// Takes the instruction into a chain, the open one or a new one; false where it is none for chains.
bool Scheduler::chain(const Instruction &in, uint32_t at) {
    if (tile == UNIFORM || facts.values[in.d].shape != tile) return false;
    int acc = extends_chain(in);
    if (acc < 0) {
        const bool first_varies = facts.values[in.a].shape != UNIFORM;
        acc = first_varies || operand_count(in) == 1 ? 0 : 1;
        if (!is_chainable(in, acc)) return false;
        close_chain();
        open.active = true;
        open.plan = {};
        open.plan.type = in.type;
        open.plan.start = chain_operand(acc == 0 ? in.a : in.b, open.plan.start_form);
    } else {
        keep_on_the_way();
    }
    open.plan.links.push_back(make_link(in, acc));
    open.last = at;
    const uint16_t reads[] = {in.a, in.b};
    for (int o = 0; o < operand_count(in); o++)
        if (state[reads[o]].last_use == at) open.ending.push_back(reads[o]);
    return true;
}

// Which operand of `in` is the open chain's result, of use to nobody else; or -1.
int Scheduler::extends_chain(const Instruction &in) const {
    if (!open.active || open.plan.links.size() + 2 > LONGEST_CHAIN) return -1;
    const uint32_t last = section->first + open.last;
    const uint16_t r = p.code[last].d;
    const int acc = in.a == r ? 0 : operand_count(in) > 1 && in.b == r ? 1 : -1;
    if (acc < 0 || in.type != open.plan.type || !is_chainable(in, acc)) return -1;
    const uint32_t here = operand_count(in) > 1 && in.a == in.b ? 2 : 1;
    return state[r].uses == here && !facts.values[r].outlives ? acc : -1;
}

bool Scheduler::is_chainable(const Instruction &in, int acc) const {
    const ChainOp op = chain_op(in, acc);
    return op != CHAIN_OPS && k.chain[in.type].link[op][0];
}

// Where the result so far is wanted for a later section too, it is stored on the way.
void Scheduler::keep_on_the_way() {
    const uint32_t at = section->first + open.last;
    if (!facts.roles[at].writes_kept) return;
    ChainPlan::Link link{};
    link.op = CHAIN_KEEP;
    link.link = k.chain[open.plan.type].link[CHAIN_KEEP][0];
    link.operand = kept_place(p.code[at], facts.roles[at]);
    open.plan.links.push_back(link);
}

// Where an operand of a chain lies, and how: halves are taken as they are.
uint16_t Scheduler::chain_operand(uint16_t r, ChainForm &form) {
    const bool halves = state[r].form != CHAIN_PACKED && facts.values[r].shape == tile;
    form = halves ? state[r].form : CHAIN_PACKED;
    return halves ? state[r].place : operand(r, tile);
}

ChainPlan::Link Scheduler::make_link(const Instruction &in, int acc) {
    ChainPlan::Link link{};
    const ChainOp op = chain_op(in, acc);
    const bool binary = operand_count(in) == 2 && in.a != in.b;
    link.acc_first = acc == 0;
    link.acc_second = acc == 1 || !binary;
    unsigned variant = 0;
    if (binary) {
        const uint16_t other = acc == 0 ? in.b : in.a;
        if (facts.values[other].shape == UNIFORM) {
            link.form = CHAIN_SCALAR;
            link.operand = state[other].place;
            variant = acc == 0 ? SCALAR_B : SCALAR_A;
        } else {
            link.operand = chain_operand(other, link.form);
        }
    }
    link.op = op;
    link.link = k.chain[in.type].link[op][link.form];
    link.one = function(in, variant);
    return link;
}

ChainRun Scheduler::run_of(const ChainPlan &chain) const {
    const ChainLoops &loops = k.chain[chain.type];
    const ChainRun any = loops.run[chain.start_form];
    if (chain.links.size() != 2 || chain.streamed || chain.fold || chain.start_form ||
        chain.result_form)
        return any;
    const ChainPlan::Link &one = chain.links[0], &two = chain.links[1];
    if (one.form > CHAIN_SCALAR || two.form > CHAIN_SCALAR) return any;
    const ChainRun both = loops.run_pair[one.op][one.form][two.op][two.form];
    return both ? both : any;
}

void Scheduler::join_pairs(ChainPlan &chain) const {
    for (size_t i = 0; i + 1 < chain.links.size(); i++) {
        ChainPlan::Link &one = chain.links[i], &two = chain.links[i + 1];
        if (one.form > CHAIN_SCALAR || two.form > CHAIN_SCALAR) continue;
        const ChainLink both = k.chain[chain.type].pair[one.op][one.form][two.op][two.form];
        if (both) one.link = both, i++;
    }
}

void Scheduler::close_chain() {
    if (!open.active) return;
    finish_chain(NO_PLACE, false);
}

// One operation on floats in memory needs no chain: its own loop does it.
bool Scheduler::is_one_loop(const ChainPlan &chain) const {
    const ChainPlan::Link &l = chain.links[0];
    return chain.links.size() == 1 && !chain.streamed && !chain.start_form && !chain.result_form &&
           l.form <= CHAIN_SCALAR && l.op != CHAIN_ROUND_F16;
}

// The chain's step, to a slot or to where results go.
void Scheduler::finish_chain(uint16_t slot, bool streamed, ChainForm form) {
    open.active = false;
    open.plan.streamed = streamed;
    open.plan.result_form = form;
    // Blocks are read before they are written: an operand that ends here may lend its place.
    for (uint16_t r : open.ending) release(r);
    open.ending.clear();
    const Instruction &last = p.code[section->first + open.last];
    const uint16_t d = slot != NO_PLACE ? slot : result(last, open.last);
    if (is_one_loop(open.plan)) {
        const ChainPlan::Link &l = open.plan.links[0];
        const uint16_t a = l.acc_first ? open.plan.start : l.operand;
        const uint16_t b = l.acc_second ? open.plan.start : l.operand;
        plan->steps.push_back(make_apply(last.op, last.type, l.one, tile, d, a, b, b));
        return;
    }
    add_chain(Step::CHAIN, d);
}

void Scheduler::add_chain(Step::Kind kind, uint16_t d) {
    open.plan.run = run_of(open.plan);
    join_pairs(open.plan);
    if (scratch == NO_PLACE) scratch = add_place(Place::SCRATCH, 1, 2 * BLOCK_BYTES);
    open.plan.scratch = scratch;
    Step &step = add(kind, tile, type_size(open.plan.type), d, open.plan.start);
    step.n = uint16_t(plan->chains.size());
    plan->chains.push_back(std::move(open.plan));
}

// The open chain's step, where `in` is all that reads its result and its tiles are pieces of one
// row; false where it is not so.
bool Scheduler::fold_chain(const Instruction &in, uint32_t accumulator) {
    if (!open.active || is_index_reduction(in.op)) return false;
    const uint16_t r = p.code[section->first + open.last].d;
    const ChainFold &fold = k.chain[open.plan.type].fold[in.op];
    const Accumulator &acc = plan->accumulators[accumulator];
    if (in.a != r || in.type != open.plan.type || !fold.link || !acc.by_rows ||
        acc.shape != UNIFORM || acc.operand_shape != tile || facts.values[r].shape != tile ||
        state[r].uses != 1 || facts.values[r].outlives)
        return false;
    keep_on_the_way();
    open.active = false;
    for (uint16_t ending : open.ending) release(ending);
    open.ending.clear();
    open.plan.fold = &fold;
    const auto &links = open.plan.links;
    open.plan.squares = links.back().op == CHAIN_SQUARE && !open.plan.start_form &&
                        (links.size() == 1 || (links.size() == 2 && links[0].op == CHAIN_SUB &&
                                               links[0].form == CHAIN_SCALAR));
    add_chain(Step::CHAIN_FOLD, uint16_t(accumulator));
    plan->steps.back().op = in.op, plan->steps.back().type = in.type;
    return true;
}

} // namespace gint
