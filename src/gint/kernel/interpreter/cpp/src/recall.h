// Calls that were made before, found again by the layouts of their arrays.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace gint {

// How a call is carried out. Sources and returns count the operands among the call's arguments from
// 0, its new results downwards from -1.
struct RecalledCall {
    nanobind::object launch;              // launch(operand, ...) -> error flag, or None
    std::vector<int> sources;             // of the launch's operands
    std::vector<nanobind::object> makers; // make() -> a new array to fill
    std::vector<int> returns;             // what the call returns
    bool returns_tuple;
    bool result_apart; // must the launch's last operand share no memory with the others?
};

// What is remembered of one operation. Only calls are whose arguments are arrays of NumPy's own
// type (no subclass), objects with a `recall_key`, plain numbers and tuples of them, strings and
// None: the others have no key.
class Recall {
  public:
    // `raise_for(flag)` must raise where a launch reports an error.
    explicit Recall(nanobind::object raise_for);

    // All that the way of a call depends on: the backend, the values of what is no operand, and of
    // arrays the type, layout, and which begin at the same address. None for a call without.
    nanobind::object key(nanobind::handle backend, nanobind::tuple args,
                         nanobind::dict kwargs) const;
    void remember(nanobind::bytes key, RecalledCall call);
    // Carries out the call if it is known: the result, or None.
    nanobind::object operator()(nanobind::handle backend, nanobind::tuple args,
                                nanobind::dict kwargs);

  private:
    nanobind::object raise_for;
    std::unordered_map<std::string, std::shared_ptr<const RecalledCall>> known;
};

void add_recall(nanobind::module_ &m);

} // namespace gint
