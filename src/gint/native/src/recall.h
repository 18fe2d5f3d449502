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
    nanobind::object launch;  // launch(operand, ...) -> error flag, or None
    std::vector<int> sources; // of the launch's operands
    // Of new arrays to fill: make() gives one, or one is made like an array.
    std::vector<nanobind::object> makers;
    std::vector<int> returns; // what the call returns
    bool returns_tuple;
    bool check_overlap; // must be made sure that the last operand shares no memory with the others?
};

// An operation that remembers its calls: those whose arguments are arrays of NumPy's own type (no
// subclass), objects with a `recall_key`, plain numbers, tuples of integers, strings and None.
// Others have no key, and go the long way. Called like a function, and as far as Python's tools can
// tell, one (as functools.lru_cache makes them). See gint/host/recall.py.
class Recall {
  public:
    // `backend` is the context variable that holds what runs the operations, None for
    // `default_backend`; `raise_for(flag)` must raise where a launch reports an error;
    // `long_way(recall, args, kwargs)` carries out a call that is not known.
    Recall(nanobind::object backend, nanobind::object default_backend, nanobind::object raise_for,
           nanobind::object long_way);

    // All that the way of a call depends on: the backend, the values of what is no operand, and of
    // arrays the type, layout, and which begin at the same address. None for a call without.
    nanobind::object key(nanobind::tuple args, nanobind::dict kwargs) const;
    void remember(nanobind::bytes key, RecalledCall call);

    // Called by Python; `kwargs` may be null.
    static PyObject *call(PyObject *self, PyObject *args, PyObject *kwargs);

  private:
    nanobind::object backend, default_backend, raise_for, long_way;
    std::unordered_map<std::string, std::shared_ptr<const RecalledCall>> known;

    nanobind::object chosen_backend() const; // what runs the operations now
    // The result of a known call; none for others.
    nanobind::object recall(PyObject *args, PyObject *kwargs);
};

void add_recall(nanobind::module_ &m);

} // namespace gint
