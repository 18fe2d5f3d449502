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

// Blocks of the leaf of a piece, in bytes.
struct CopiedBlocks {
    int64_t destination, source;        // where the first one lies
    int64_t count, apart, source_apart; // from one to the next
    bool is_outside;
};

struct LinesTogether;

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
    struct Outer {
        int64_t extent, destination, source; // strides in bytes
        std::vector<int64_t> offsets;        // of the source in bytes, or OUTSIDE; or none

        bool is_outside(int64_t at) const {
            return !offsets.empty() && offsets[size_t(at)] == OUTSIDE;
        }
        int64_t offset(int64_t at) const {
            return offsets.empty() ? at * source : is_outside(at) ? 0 : offsets[size_t(at)];
        }
    };
    // What is copied is lines of blocks; a long line of blocks of one kind is copied in parts, and
    // short lines together. `is_turned`: the source goes on from line to line.
    struct Lines {
        size_t number;
        int64_t destination, source, block;
        std::vector<Outer> outer; // the outermost first
        std::vector<CopiedBlocks> blocks;
        int64_t parts = 1, together = 1, count = 1;
        bool is_turned = false;

        LinesTogether take(int64_t first, int64_t last) const;
        CopiedBlocks part(int64_t number) const;
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
