// Runs the case that is named, and prints why it failed.
#include "cases.h"

#include <iostream>

namespace gint {

namespace {

LoopTable *made_up() {
    constexpr size_t WORDS = sizeof(LoopTable) / sizeof(void *);
    static void *words[WORDS];
    for (void *&word : words) word = &word;
    auto *table = reinterpret_cast<LoopTable *>(words);
    for (ChainLoops &loops : table->chain) {
        loops.block_log2 = 5;
        std::memset(&loops.pair, 0, sizeof loops.pair);
        std::memset(&loops.run_pair, 0, sizeof loops.run_pair);
        // As in every real table: these have no vector form.
        for (ChainOp op : {CHAIN_SIN, CHAIN_COS})
            std::memset(&loops.link[op], 0, sizeof loops.link[op]);
    }
    return table;
}

} // namespace

const LoopTable &table() {
    static const LoopTable *made = made_up();
    return *made;
}

} // namespace gint

int main(int count, char **arguments) {
    for (const gint::Case &one : gint::Case::all) {
        if (count != 2 || one.name != arguments[1]) continue;
        try {
            one.run();
        } catch (const gint::Failure &failure) {
            std::cout << failure.text << '\n';
            return 1;
        }
        return 0;
    }
    std::cout << "There is no such case.\n";
    return 1;
}
