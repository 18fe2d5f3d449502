// Tensors put together of pieces: joined or padded.
//
// A piece is a box of the destination whose elements come from one source, each axis in steps or at
// positions of its own. Sizes and strides are settled once; a run is given addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace gint {

// A position of an axis that no element of the source stands for: it is filled.
constexpr int64_t OUTSIDE = std::numeric_limits<int64_t>::min();

// Strides in elements. `positions` of the source, one for each element of the destination, or none:
// then they are the destination's own.
struct CopyAxis {
    int64_t extent, destination, source;
    std::vector<int64_t> positions;
};

// Offsets in elements: where in the destination the box begins, and where in the source.
struct CopiedPiece {
    size_t number; // of the source
    int64_t destination, source;
    std::vector<CopyAxis> axes; // of other destinations each
};

class Copies {
  public:
    // `fill` is the bits of the element that stands for what is OUTSIDE; an element is of 1, 2, 4
    // or 8 bytes.
    Copies(size_t element_bytes, uint64_t fill, const std::vector<CopiedPiece> &pieces);

    // Given addresses; up to `threads` threads (0: OpenMP's own number). Sources share no memory
    // with the destination.
    void run(uint64_t destination, const uint64_t *sources, int threads) const;
    size_t bytes() const { return total; } // that are written

  private:
    // Blocks of the leaf of a piece, in bytes.
    struct Blocks {
        int64_t destination, source;        // where the first one lies
        int64_t count, apart, source_apart; // from one to the next
        bool is_outside;
    };
    struct Outer {
        int64_t extent, destination, source; // strides in bytes
        std::vector<int64_t> offsets;        // of the source in bytes, or OUTSIDE; or none
    };
    // What is copied is lines of blocks; a long line of blocks of one kind is copied in parts.
    struct Lines {
        size_t number;
        int64_t destination, source, block, parts, count;
        std::vector<Outer> outer; // the outermost first
        std::vector<Blocks> blocks;
    };

    size_t element, total = 0;
    uint64_t fill;
    std::vector<Lines> pieces;

    Lines lines_of(const CopiedPiece &piece) const;
    void add_blocks(Lines &lines, const CopyAxis &axis) const;
    void copy(const Lines &lines, int64_t first, int64_t last, char *destination,
              const char *source, bool past_caches) const;
};

} // namespace gint
