#include "schedule/chains.h"

namespace gint {

namespace {

constexpr size_t LONGEST_CHAIN = 30; // arguments of links

// The comparison that holds of b and a where this one holds of a and b.
uint16_t mirrored(uint16_t comparison) {
    switch (comparison) {
    case GI_OP_LT:
        return GI_OP_GT;
    case GI_OP_LE:
        return GI_OP_GE;
    case GI_OP_GT:
        return GI_OP_LT;
    case GI_OP_GE:
        return GI_OP_LE;
    default:
        return comparison;
    }
}

} // namespace

Chains::Chains(const Inputs &i, const Liveness &l, Places &p, Registers &r, Steps &s)
    : inputs(i), lives(l), places(p), registers(r), steps(s) {}

bool Chains::take(const Instruction &in, uint32_t at) {
    if (inputs.tile == UNIFORM || inputs.value(in.d).shape != inputs.tile) return false;
    int acc = extended_operand(in);
    if (acc < 0) {
        acc = operand_count(in) == 1 || starts_better(in.a, in.b) ? 0 : 1;
        if (!is_chainable(in, acc)) return false;
        begin(in.type, acc == 0 ? in.a : in.b);
    } else {
        add_keep(operand_count(in) > 1 && in.a == in.b ? 2 : 1);
    }
    chain.links.push_back(make_link(in, acc, at));
    last_at = at;
    const uint16_t reads[] = {in.a, in.b};
    for (int o = 0; o < operand_count(in); o++)
        if (lives.last_use(reads[o]) == at) last_reads.push_back(reads[o]);
    return true;
}

// Of the first operand than of the second one?
bool Chains::starts_better(uint16_t first, uint16_t second) const {
    const uint8_t shape = inputs.value(first).shape, other = inputs.value(second).shape;
    return shape == inputs.tile || (shape != UNIFORM && other != inputs.tile);
}

void Chains::begin(uint8_t type, uint16_t start) {
    close();
    is_open = true;
    chain = {};
    chain.type = type;
    chain.start = operand(start, chain.start_form);
}

void Chains::take_choice(const Instruction &by, const Instruction &in, uint32_t at) {
    Selection s = selection(by, in);
    const bool extends = extends_by_choice(by, in);
    uint16_t acc = extends ? result_register() : s.reads[0];
    for (int o = 3; o > 1 && !extends; o--)
        if (inputs.value(s.reads[o]).shape == inputs.tile) acc = s.reads[o];
    // A link compares with one number.
    if (inputs.value(s.reads[1]).shape != UNIFORM || s.reads[1] == acc) {
        close();
        return emit_select(s, in, at);
    }
    if (extends)
        add_keep(lives.uses(result_register()));
    else
        begin(in.type, acc);
    Chain::Choice choice{};
    choice.comparison = s.comparison;
    ChoiceForm forms[CHOICE_OPERANDS] = {};
    for (unsigned o = 0; o < CHOICE_OPERANDS; o++) {
        choice.place[o] = NO_PLACE;
        if (s.reads[o] == acc) continue;
        if (inputs.value(s.reads[o]).shape == UNIFORM) {
            choice.form[o] = CHAIN_SCALAR;
            choice.place[o] = registers.place(s.reads[o]);
        } else {
            choice.place[o] = operand(s.reads[o], choice.form[o]);
            if (choice.form[o] == CHAIN_F16) {
                choice.place[o] = registers.operand(s.reads[o], inputs.tile);
                choice.form[o] = CHAIN_PACKED;
            }
        }
        forms[o] = choice.form[o] == CHAIN_SCALAR ? CHOICE_SCALAR
                   : choice.form[o] == CHAIN_BF16 ? CHOICE_BF16
                                                  : CHOICE_PACKED;
    }
    choice.one = inputs.loops.select[s.comparison - GI_OP_NE][in.type][s.scalars];
    Chain::Link link{};
    link.op = CHAIN_CHOOSE;
    link.link =
        inputs.loops.chain[in.type].choose[s.comparison - GI_OP_NE][forms[0]][forms[2]][forms[3]];
    link.operand = uint16_t(chain.choices.size());
    chain.choices.push_back(choice);
    chain.links.push_back(link);
    last_at = at;
    for (uint16_t r : s.reads)
        if (lives.last_use(r) == at) last_reads.push_back(r);
}

// What a choice reads, so that the first operand varies; equality as its opposite.
Chains::Selection Chains::selection(const Instruction &by, const Instruction &in) const {
    const bool is_nan = by.op == GI_OP_ISNAN; // x != x
    Selection s{{by.a, is_nan ? by.a : by.b, in.b, in.c}, is_nan ? uint16_t(GI_OP_NE) : by.op, 0};
    if (inputs.value(s.reads[0]).shape != inputs.tile) {
        std::swap(s.reads[0], s.reads[1]);
        s.comparison = mirrored(s.comparison);
    }
    if (s.comparison == GI_OP_EQ) {
        std::swap(s.reads[2], s.reads[3]);
        s.comparison = GI_OP_NE;
    }
    for (int o = 1; o < 4; o++)
        s.scalars |= unsigned(inputs.value(s.reads[o]).shape == UNIFORM) << (o - 1);
    return s;
}

// A choice alone, as its own loop.
void Chains::emit_select(const Selection &s, const Instruction &in, uint32_t at) {
    uint16_t from[4];
    for (int o = 0; o < 4; o++)
        from[o] = inputs.value(s.reads[o]).shape == UNIFORM
                      ? registers.place(s.reads[o])
                      : registers.operand(s.reads[o], inputs.tile);
    add_select(registers.result(in, at), from, {s.comparison, in.type},
               inputs.loops.select[s.comparison - GI_OP_NE][in.type][s.scalars]);
    for (uint16_t r : s.reads)
        if (lives.last_use(r) == at) registers.release(r);
}

void Chains::add_select(uint16_t d, const uint16_t from[4], Operation what, SelectFn select) {
    Step &step = steps.add(Step::SELECT, inputs.tile, type_size(what.type), d, from[0], what);
    step.b = from[1], step.c = from[2], step.n = from[3];
    step.select = select;
}

// Is the open chain's result an operand here, and of use to nobody else?
bool Chains::extends_by_choice(const Instruction &by, const Instruction &in) const {
    if (!is_open || arguments() + 2 + CHOICE_OPERANDS > LONGEST_CHAIN) return false;
    const uint16_t r = result_register();
    if (in.type != chain.type || inputs.value(r).outlives) return false;
    uint32_t reads = (by.a == r) + (in.b == r) + (in.c == r);
    if (operand_count(by) == 2) reads += by.b == r;
    return reads > 0 && reads == lives.uses(r);
}

// Which operand of `in` is the open chain's result, of use to nobody else; or -1.
int Chains::extended_operand(const Instruction &in) const {
    if (!is_open || arguments() + 2 > LONGEST_CHAIN) return -1;
    const uint16_t r = result_register();
    const int acc = in.a == r ? 0 : operand_count(in) > 1 && in.b == r ? 1 : -1;
    if (acc < 0 || in.type != chain.type || !is_chainable(in, acc)) return -1;
    const uint32_t reads = operand_count(in) > 1 && in.a == in.b ? 2 : 1;
    const bool is_all = lives.uses(r) == reads;
    return (is_all || can_keep()) && !inputs.value(r).outlives ? acc : -1;
}

// May the result so far, which is read once more, be stored on the way? Not where it is one
// already, or may be stored where nothing else is to be done.
bool Chains::can_keep() const {
    return !lives.role(last_at).writes_kept && lives.first_store(result_register()) < 0 &&
           !inputs.is_once(result_register());
}

bool Chains::is_chainable(const Instruction &in, int acc) const {
    const ChainOp op = chain_op(in, acc);
    return op != CHAIN_OPS && inputs.loops.chain[in.type].link[op][0];
}

// Where the result so far is wanted for a later section too, or once more in this one, it is stored
// on the way. `reads`: how often the next link reads it.
void Chains::add_keep(uint32_t reads) {
    const bool writes_kept = lives.role(last_at).writes_kept;
    if (!writes_kept && lives.uses(result_register()) == reads) return;
    Chain::Link link{};
    link.op = CHAIN_KEEP;
    link.link = inputs.loops.chain[chain.type].link[CHAIN_KEEP][0];
    link.operand = writes_kept ? registers.kept_row(last_at) : registers.own(result_register());
    chain.links.push_back(link);
}

// Where an operand of a chain lies, and how: halves are taken as they are.
uint16_t Chains::operand(uint16_t r, ChainForm &form) {
    form = inputs.value(r).shape == inputs.tile ? registers.form(r) : CHAIN_PACKED;
    return form != CHAIN_PACKED ? registers.place(r) : registers.operand(r, inputs.tile);
}

Chain::Link Chains::make_link(const Instruction &in, int acc, uint32_t at) {
    Chain::Link link{};
    const bool binary = operand_count(in) == 2 && in.a != in.b;
    link.acc_first = acc == 0;
    link.acc_second = acc == 1 || !binary;
    unsigned variant = 0;
    if (binary) {
        const uint16_t other = acc == 0 ? in.b : in.a;
        const uint8_t shape = inputs.value(other).shape;
        if (shape == UNIFORM) {
            link.form = CHAIN_SCALAR;
            link.operand = registers.place(other);
            variant = acc == 0 ? SCALAR_B : SCALAR_A;
        } else if (shape == ROWS && folds_rows() &&
                   (!has_short_rows() || is_shifted(in, acc, at))) {
            link.form = CHAIN_SCALAR;
            link.operand = registers.operand(other, ROWS);
            link.per_row = chain.by_rows = true;
        } else {
            link.operand = operand(other, link.form);
        }
    }
    link.op = chain_op(in, acc);
    link.link = inputs.loops.chain[in.type].link[link.op][link.form];
    link.one = inputs.loop(in, variant);
    return link;
}

bool Chains::is_all_of(const Instruction &store, uint8_t shape) const {
    return is_open && result_register() == store.a && inputs.value(store.a).shape == shape &&
           lives.uses(store.a) == 1 && !lives.role(last_at).writes_kept &&
           !inputs.value(store.a).outlives;
}

// Blocks are read before they are written: an operand that ends here may lend its place.
void Chains::leave() {
    is_open = false;
    for (uint16_t r : last_reads) registers.release(r);
    last_reads.clear();
}

void Chains::close() {
    if (!is_open) return;
    leave();
    finish(registers.result(lives.instruction(last_at), last_at), false, CHAIN_PACKED);
}

void Chains::store(uint16_t slot_place, bool streamed, ChainForm form) {
    leave();
    if (is_of_signs(form)) return emit_of_signs(slot_place);
    finish(slot_place, streamed, form);
}

// Halves whose signs alone change, whatever the format of both.
bool Chains::is_of_signs(ChainForm form) const {
    const Chain::Link &l = chain.links[0];
    return form > CHAIN_SCALAR && chain.start_form == form && chain.links.size() == 1 &&
           (l.op == CHAIN_NEG || l.op == CHAIN_ABS);
}

// That is arithmetic on the bits where they lie.
void Chains::emit_of_signs(uint16_t d) {
    const bool flips = chain.links[0].op == CHAIN_NEG;
    const uint16_t opcode = flips ? GI_OP_BITWISE_XOR : GI_OP_BITWISE_AND;
    const Operation what{opcode, GI_i16};
    const uint16_t bits = places.constant(flips ? 0x8000 : 0x7fff, GI_i16);
    const When before = steps.set_when(When::EACH_TILE);
    steps.apply(what, inputs.loops.apply[what.op][GI_i16][SCALAR_B], inputs.tile, d, chain.start,
                bits, bits);
    steps.set_when(before);
}

void Chains::finish(uint16_t d, bool streamed, ChainForm form) {
    const When before = steps.set_when(When::EACH_TILE);
    emit(d, streamed, form);
    steps.set_when(before);
}

void Chains::emit(uint16_t d, bool streamed, ChainForm form) {
    chain.streamed = streamed;
    chain.result_form = form;
    if (!is_one_loop()) return add_step(Step::CHAIN, d);
    if (!chain.choices.empty()) {
        const Chain::Choice &c = chain.choices[0];
        uint16_t from[4];
        for (int o = 0; o < 4; o++) from[o] = c.place[o] == NO_PLACE ? chain.start : c.place[o];
        return add_select(d, from, {c.comparison, chain.type}, c.one);
    }
    const Chain::Link &l = chain.links[0];
    const uint16_t a = l.acc_first ? chain.start : l.operand;
    const uint16_t b = l.acc_second ? chain.start : l.operand;
    steps.apply(operation(lives.instruction(last_at)), l.one, inputs.tile, d, a, b, b);
}

// One operation on floats in memory needs no chain: its own loop does it.
bool Chains::is_one_loop() const {
    for (const Chain::Choice &c : chain.choices)
        for (ChainForm form : c.form)
            if (form > CHAIN_SCALAR) return false;
    const Chain::Link &l = chain.links[0];
    return chain.links.size() == 1 && !chain.streamed && !chain.by_rows && !chain.start_form &&
           !chain.result_form && l.form <= CHAIN_SCALAR && l.op != CHAIN_ROUND_F16;
}

bool Chains::fold(const Instruction &reduction, const Accumulator &acc, uint16_t accumulator) {
    if (!is_open || is_index_reduction(reduction.op)) return false;
    const uint16_t r = result_register();
    const ChainFold &fold = inputs.loops.chain[chain.type].fold[reduction.op];
    const bool rows = acc.by_rows && acc.operand_shape & COLS && acc.shape <= ROWS;
    const bool line = !acc.by_rows && acc.operand_shape == COLS;
    if (reduction.a != r || reduction.type != chain.type || !fold.link || !(rows || line) ||
        acc.operand_shape != inputs.tile || inputs.value(r).shape != inputs.tile ||
        lives.uses(r) != 1 || inputs.value(r).outlives)
        return false;
    const bool is_whole = !lives.role(last_at).writes_kept && whole_of(fold) != WHOLE_NONE;
    if (rows && !is_whole && has_short_rows()) return false;
    add_keep(1);
    leave();
    chain.fold = &fold;
    if (rows) chain.whole = whole_of(fold);
    add_step(Step::CHAIN_FOLD, accumulator, operation(reduction));
    return true;
}

// Are a tile's rows folded?
bool Chains::folds_rows() const {
    const Layout &l = inputs.layout;
    return inputs.tile == FULL && l.reduced[l.axis_b] && !l.reduced[l.axis_a];
}

// Is a difference that begins a chain squared and added up at once? One loop does all of that.
bool Chains::is_shifted(const Instruction &in, int acc, uint32_t at) const {
    if (in.op != GI_OP_SUB || acc != 0 || !chain.links.empty()) return false;
    if (at + 2 >= lives.section().count) return false;
    const Instruction &square = lives.instruction(at + 1), &sum = lives.instruction(at + 2);
    const auto is_all_that_reads = [&](const Instruction &by, const Instruction &made) {
        const uint32_t reads = by.op == GI_OP_MUL ? 2 : 1;
        return by.a == made.d && by.type == in.type && lives.uses(made.d) == reads &&
               !inputs.value(made.d).outlives;
    };
    return square.op == GI_OP_MUL && square.a == square.b && is_all_that_reads(square, in) &&
           is_reduction(sum.op) && is_all_that_reads(sum, square) && !lives.role(at).writes_kept &&
           !lives.role(at + 1).writes_kept &&
           inputs.loops.chain[in.type].fold[sum.op].whole[WHOLE_SHIFTED][chain.start_form];
}

// Beginning a chain for every one of them costs more than storing the tile once does.
bool Chains::has_short_rows() const {
    return inputs.layout.rows > 1 && inputs.layout.cols < LONG_LINE;
}

// The loop that does all of the open chain, which is folded.
WholeFold Chains::whole_of(const ChainFold &fold) const {
    const Chain::Link &first = chain.links[0], &last = chain.links.back();
    const size_t count = chain.links.size();
    const bool is_alike = first.form == chain.start_form;
    WholeFold found = WHOLE_NONE;
    if (last.op == CHAIN_SQUARE && count == 1)
        found = WHOLE_SQUARES;
    else if (last.op == CHAIN_SQUARE && count == 2 && first.op == CHAIN_SUB)
        found = first.form == CHAIN_SCALAR ? WHOLE_SHIFTED
                : is_alike                 ? WHOLE_DISTANCES
                                           : WHOLE_NONE;
    else if (count == 1 && last.op == CHAIN_MUL && is_alike)
        found = WHOLE_PRODUCTS;
    else if (count == 1 && last.op == CHAIN_NAN_TO_ZERO)
        found = WHOLE_NUMBERS;
    return fold.whole[found][chain.start_form] ? found : WHOLE_NONE;
}

void Chains::add_step(Step::Kind kind, uint16_t d, Operation what) {
    chain.run = choose_run();
    join_pairs();
    chain.scratch = places.scratch();
    steps.add(kind, inputs.tile, type_size(chain.type), d, chain.start, what).n =
        uint16_t(closed.size());
    closed.push_back(std::move(chain));
}

ChainRun Chains::choose_run() const {
    const ChainLoops &loops = inputs.loops.chain[chain.type];
    const ChainRun any = loops.run[chain.start_form];
    if (chain.links.size() != 2 || chain.streamed || chain.fold || chain.start_form ||
        chain.result_form)
        return any;
    const Chain::Link &one = chain.links[0], &two = chain.links[1];
    if (one.form > CHAIN_SCALAR || two.form > CHAIN_SCALAR) return any;
    const ChainRun both = loops.run_pair[one.op][one.form][two.op][two.form];
    return both ? both : any;
}

void Chains::join_pairs() {
    for (size_t i = 0; i + 1 < chain.links.size(); i++) {
        Chain::Link &one = chain.links[i], &two = chain.links[i + 1];
        if (one.form > CHAIN_SCALAR || two.form > CHAIN_SCALAR) continue;
        const auto &pairs = inputs.loops.chain[chain.type].pair;
        const ChainLink both = pairs[one.op][one.form][two.op][two.form];
        if (both) one.link = both, i++;
    }
}

} // namespace gint
