// What Python gives to make a step of, in C++'s types.
#pragma once

#include <nanobind/nanobind.h>

#include <utility>
#include <vector>

#include "copies/copies.h"

namespace gint {

inline std::vector<int64_t> integers(nanobind::handle list) {
    std::vector<int64_t> found;
    for (nanobind::handle entry : list) found.push_back(nanobind::cast<int64_t>(entry));
    return found;
}

// (number of a source, offset in out, offset in the source, axes), in elements; an axis is (extent,
// stride in out, stride in the source, positions or None).
inline CopiedPiece piece_of(nanobind::tuple given) {
    namespace nb = nanobind;
    CopiedPiece piece{
        nb::cast<size_t>(given[0]), nb::cast<int64_t>(given[1]), nb::cast<int64_t>(given[2]), {}};
    for (nb::handle entry : nb::cast<nb::tuple>(given[3])) {
        const auto axis = nb::cast<nb::tuple>(entry);
        CopyAxis made{
            nb::cast<int64_t>(axis[0]), nb::cast<int64_t>(axis[1]), nb::cast<int64_t>(axis[2]), {}};
        if (!axis[3].is_none())
            for (nb::handle at : axis[3])
                made.positions.push_back(at.is_none() ? OUTSIDE : nb::cast<int64_t>(at));
        if (!axis[3].is_none() && int64_t(made.positions.size()) != made.extent)
            throw nb::value_error("An axis has as many positions as elements.");
        piece.axes.push_back(std::move(made));
    }
    return piece;
}

} // namespace gint
