// Chains: whole blocks through the links, and what does not fill a block.
#include <algorithm>
#include <cstring>

#include "run/worker.h"

namespace gint {

namespace {

uint8_t type_of(ChainForm form) { return form == CHAIN_F16 ? GI_f16 : GI_bf16; }
size_t size_of(ChainForm form, uint8_t type) {
    return form > CHAIN_SCALAR ? sizeof(uint16_t) : type_size(type);
}

// Elements before the first one that begins a line of the caches.
size_t elements_to_line(const char *d, size_t size) {
    return -reinterpret_cast<uintptr_t>(d) % 64 / size;
}

} // namespace

void Worker::run_chain(const Chain &chain, size_t n, char *d) {
    const size_t size = size_of(chain.result_form, chain.type);
    const size_t each = chain.by_rows ? count[COLS] : n;
    for (size_t i = 0; i < n; i += each) run_line(chain, i, i + each, d + i * size, d);
}

// Elements `from` to `to`, the first of whose results goes to d; all of them begin at `tile`.
void Worker::run_line(const Chain &chain, size_t from, size_t to, char *d, const char *tile) {
    const ChainLoops &k = s.loops->chain[chain.type];
    const size_t size = size_of(chain.result_form, chain.type);
    if (chain.streamed) {
        const size_t first = std::min(elements_to_line(d, size), to - from);
        if (first) s.loops->stream(first * size, d, run_apart(chain, from, from + first, to));
        from += first, d += first * size;
    }
    const size_t blocks = (to - from) >> k.block_log2, last = from + (blocks << k.block_log2);
    const ChainLink store = chain.streamed ? k.store_stream : k.store[chain.result_form];
    // In memory's order, unless blocks overwrite the operands of the rest.
    const bool rest_first = last != to && is_operand(chain, tile);
    const char *rest = rest_first ? run_apart(chain, last, to, to) : nullptr;
    run_blocks_of(chain, from, blocks, {store, d});
    if (last == to) return;
    if (!rest_first) rest = run_apart(chain, last, to, to);
    d += (last - from) * size;
    if (chain.streamed)
        s.loops->stream((to - last) * size, d, rest);
    else
        std::memcpy(d, rest, (to - last) * size);
}

// A line of a tile, onto those before it.
void Worker::fold_line(const Chain &chain, size_t n, const Accumulator &acc, Carry &carry) {
    const ChainLoops &k = s.loops->chain[chain.type];
    const bool fresh = is_one_tile() || carry.in_group == 0;
    char *to = is_one_tile() ? place[acc.result] : frame + acc.partial_at;
    const size_t blocks = n >> k.block_log2, done = blocks << k.block_log2;
    run_blocks_of(chain, 0, blocks, {fresh ? k.store[CHAIN_PACKED] : chain.fold->onto, to});
    if (done != n) {
        const char *rest = run_apart(chain, done, n, n);
        char *end = to + done * type_size(chain.type);
        acc.fold.cols[CHAIN_PACKED](1, n - done, end, rest, 0, fresh);
    }
    if (!is_one_tile() && ++carry.in_group == acc.tiles_per_group) push(acc, carry);
}

void Worker::fold_chain(const Chain &chain, size_t n, const Accumulator &acc, Carry &carry) {
    if (!acc.by_rows) return fold_line(chain, n, acc, carry);
    const size_t rows = count[acc.shape], cols = n / rows;
    char *result = is_one_tile() ? place[acc.result] : frame + acc.partial_at;
    if (chain.whole)
        fold_whole(chain, rows, cols, result);
    else
        for (size_t i = 0; i < rows; i++)
            fold_row(chain, i * cols, cols, acc, result + (i << acc.size_log2));
    if (!is_one_tile()) push(acc, carry);
}

// By the one loop that does all of the chain.
void Worker::fold_whole(const Chain &chain, size_t rows, size_t n, char *result) {
    const char *other = nullptr;
    size_t per_row = 0;
    if (chain.whole != WHOLE_SQUARES && chain.whole != WHOLE_NUMBERS) {
        const Chain::Link &l = chain.links[0];
        other = place[l.operand];
        per_row = (l.form != CHAIN_SCALAR ? n : l.per_row) * size_of(l.form, chain.type);
    }
    chain.fold->whole[chain.whole][chain.start_form](rows, n, result, place[chain.start], other,
                                                     ptrdiff_t(per_row));
}

// The n elements from `first` on.
void Worker::fold_row(const Chain &chain, size_t first, size_t n, const Accumulator &acc,
                      char *result) {
    const ChainLoops &k = s.loops->chain[chain.type];
    if (n * type_size(chain.type) < FOLD_BYTES) {
        const char *values = run_apart(chain, first, first + n, first + n);
        return acc.fold.rows[CHAIN_PACKED](1, n, result, values, 0);
    }
    alignas(64) char lanes[FOLD_BYTES];
    // What does not fill a block starts at the first lane: a block may be less than all lanes.
    const size_t lanes_each = FOLD_BYTES / type_size(chain.type);
    size_t blocks = n >> k.block_log2;
    while (blocks << k.block_log2 & (lanes_each - 1)) blocks--;
    const size_t done = blocks << k.block_log2;
    chain.fold->begin(lanes);
    run_blocks_of(chain, first, blocks, {chain.fold->link, lanes});
    if (done != n) {
        const char *rest = run_apart(chain, first + done, first + n, first + n);
        chain.fold->add(n - done, lanes, rest);
    }
    chain.fold->end(result, lanes);
}

// Do the chain's operands lie where its results go?
bool Worker::is_operand(const Chain &chain, const char *d) const {
    for (const Chain::Link &l : chain.links)
        if (l.op != CHAIN_KEEP && l.op != CHAIN_CHOOSE && place[l.operand] == d) return true;
    for (const Chain::Choice &c : chain.choices)
        for (uint16_t p : c.place)
            if (p != NO_PLACE && place[p] == d) return true;
    return place[chain.start] == d;
}

// A link's operand for the elements from `first` on.
char *Worker::operand_at(const Chain &chain, const Chain::Link &link, size_t first) const {
    if (link.form == CHAIN_SCALAR) first = link.per_row ? first / count[COLS] : 0;
    if (first == 0) return place[link.operand];
    return place[link.operand] + first * size_of(link.form, chain.type);
}

// `end` gets the result of the block that begins at element `first`, and of those that follow.
void Worker::run_blocks_of(const Chain &chain, size_t first, size_t blocks, ChainArgument end) {
    if (!blocks) return;
    const auto at = [&](uint16_t p, ChainForm form) {
        if (first == 0 || form == CHAIN_SCALAR) return place[p];
        return place[p] + first * size_of(form, chain.type);
    };
    ChainArgument arguments[32];
    size_t count = 0;
    arguments[count++] = {nullptr, at(chain.start, chain.start_form)};
    for (const Chain::Link &l : chain.links) {
        if (l.op != CHAIN_CHOOSE) {
            arguments[count++] = {l.link, operand_at(chain, l, first)};
            continue;
        }
        const Chain::Choice &c = chain.choices[l.operand];
        for (unsigned o = 0; o < CHOICE_OPERANDS; o++)
            arguments[count++] = {l.link,
                                  c.place[o] == NO_PLACE ? nullptr : at(c.place[o], c.form[o])};
    }
    arguments[count] = end;
    size_t block = 0;
    for (; prefetch_count && block < blocks; block++) {
        prefetch_some();
        chain.run(arguments, block, block + 1);
    }
    if (chain.ahead.empty()) return chain.run(arguments, block, blocks);
    ChainAhead ahead;
    ahead.count = 0;
    for (const Chain::Ahead &a : chain.ahead)
        ahead.of[ahead.count++] = {at(a.place, a.form), a.apart, a.form > CHAIN_SCALAR};
    s.loops->chain[chain.type].run_ahead[chain.start_form](arguments, block, blocks, ahead);
}

// The results of elements `first` to `last` of n, in memory of their own; at most BLOCK_BYTES. By
// blocks that overlap their neighbours, or one link at a time where n is less than these.
const char *Worker::run_apart(const Chain &chain, size_t first, size_t last, size_t n) {
    const ChainLoops &k = s.loops->chain[chain.type];
    const ChainForm form = chain.result_form;
    const size_t block = size_t(1) << k.block_log2;
    const size_t blocks = (last - first + block - 1) / block;
    char *scratch = place[chain.scratch];
    if (blocks * block <= n) {
        const size_t begin = std::min(first, n - blocks * block);
        run_blocks_of(chain, begin, blocks, {k.store[form], scratch});
        return scratch + (first - begin) * size_of(form, chain.type);
    }
    run_rest_of(chain, first, last, scratch);
    if (form == CHAIN_PACKED) return scratch;
    char *narrow = scratch + BLOCK_BYTES;
    s.loops->narrow[type_of(form)](last - first, narrow, scratch, scratch, scratch, &error);
    return narrow;
}

// Elements from `first` on go link by link to d.
void Worker::run_rest_of(const Chain &chain, size_t first, size_t n, char *d) {
    const size_t at = first * type_size(chain.type), count = chain.links.size();
    char *scratch = place[chain.scratch], *other = scratch + BLOCK_BYTES;
    const char *acc = place[chain.start] + at;
    if (chain.start_form) acc = widen(chain.start_form, place[chain.start], first, n, scratch);
    for (size_t i = 0; i < count; i++) {
        const Chain::Link &l = chain.links[i];
        if (l.op == CHAIN_CHOOSE) {
            char *to = i + 1 == count ? d : scratch;
            choose_rest_of(chain, chain.choices[l.operand], first, n, to, acc);
            acc = to;
            continue;
        }
        char *y = place[l.operand] + (l.form == CHAIN_SCALAR ? 0 : at);
        if (l.form > CHAIN_SCALAR) y = widen(l.form, place[l.operand], first, n, other);
        if (l.op == CHAIN_KEEP) {
            std::memcpy(y, acc, (n - first) * type_size(chain.type));
            continue;
        }
        char *to = i + 1 == count ? d : scratch;
        l.one(n - first, to, l.acc_first ? acc : y, l.acc_second ? acc : y, y, &error);
        acc = to;
    }
    if (acc != d && n != first) std::memcpy(d, acc, (n - first) * type_size(chain.type));
}

void Worker::choose_rest_of(const Chain &chain, const Chain::Choice &c, size_t first, size_t n,
                            char *d, const char *acc) {
    alignas(64) char widened[CHOICE_OPERANDS][BLOCK_BYTES];
    const char *from[CHOICE_OPERANDS];
    for (unsigned o = 0; o < CHOICE_OPERANDS; o++) {
        if (c.place[o] == NO_PLACE)
            from[o] = acc;
        else if (c.form[o] > CHAIN_SCALAR)
            from[o] = widen(c.form[o], place[c.place[o]], first, n, widened[o]);
        else
            from[o] =
                place[c.place[o]] + (c.form[o] == CHAIN_SCALAR ? 0 : first * type_size(chain.type));
    }
    c.one(n - first, d, from[0], from[1], from[2], from[3]);
}

// Halves from the first to the nth, at most a block of them, as floats.
char *Worker::widen(ChainForm form, const char *from, size_t first, size_t n, char *to) {
    const uint8_t type = type_of(form);
    const char *source = from + first * type_size(type);
    s.loops->widen[type](n - first, to, source, source, source, &error);
    return to;
}

} // namespace gint
