// The making of a schedule, in one pass over the sections. Every part owns what it makes and uses
// those below it:
//
//   stencils                 what combines loads and gathers without storing them
//   accumulators, scans      reductions; running folds
//   moves, lookups           loads and stores; gathers
//   selections               choices together with the comparison before them
//   chains                   the open chain
//   registers, constants     where values lie in this section
//   liveness, places, steps  what is read when; memory; what has been emitted
//   inputs                   the program under its layout
//
// What is asked for ahead (prefetches), and how many tiles are taken as one (together), is seen of
// the schedule when it is made.
#include <stdexcept>

#include "schedule/accumulators.h"
#include "schedule/constants.h"
#include "schedule/lookups.h"
#include "schedule/moves.h"
#include "schedule/prefetches.h"
#include "schedule/scans.h"
#include "schedule/selections.h"
#include "schedule/stencils.h"
#include "schedule/together.h"

namespace gint {

namespace {

class Scheduler {
  public:
    Scheduler(const Program &program, const Binding &binding, const std::vector<uint16_t> &groups,
              const LoopTable &loops)
        : inputs(program, binding, groups, loops) {}

    std::shared_ptr<const Schedule> run() {
        auto out = std::make_shared<Schedule>();
        place_lasting_registers();
        out->shared_bytes = places.frame_bytes();
        out->sections.reserve(inputs.program.sections.size());
        for (const Section &section : inputs.program.sections) {
            out->sections.push_back(make_section(section));
            out->work += out->sections.back().cost * points(section);
        }
        const Grids &grids = inputs.grids;
        out->loops = &inputs.loops;
        out->streams = moves.uses_streams();
        out->shares_rows = !places.has_kept_rows() && !inputs.program.has_scan &&
                           grids.reduced.total >= 2 * grids.tiles_per_chunk;
        out->parallel = grids.parallel;
        if (!has_effects()) out->parallel.total = 0;
        out->reduced = grids.reduced;
        out->tiles_per_group = grids.tiles_per_group;
        out->tiles_per_chunk = grids.tiles_per_chunk;
        constants.finish(*out);
        places.finish(*out);
        add_prefetches(inputs, *out);
        out->at_once = tiles_at_once(inputs, *out);
        out->layout = std::move(inputs.layout);
        return out;
    }

  private:
    Inputs inputs;
    Places places{inputs};
    Liveness lives{inputs};
    Steps steps;
    Registers registers{inputs, lives, places, steps};
    Constants constants{inputs, places, registers};
    Chains chains{inputs, lives, places, registers, steps};
    Selections selections{inputs, lives, chains};
    Moves moves{inputs, lives, places, registers, steps, chains};
    Lookups lookups{inputs, lives, places, registers, steps, chains, moves};
    Stencils stencils{inputs, lives, places, registers, steps, chains, moves, lookups};
    Accumulators accumulators{inputs, lives, places, registers, steps, chains};
    Scans scans{inputs, places, registers, steps, chains};
    std::vector<Linear> linears; // of the section

    // Results of reductions, and what else later sections read.
    void place_lasting_registers() {
        for (const Section &section : inputs.program.sections)
            for (uint32_t i = 0; i < section.count; i++) {
                const Instruction &in = inputs.program.code[section.first + i];
                if (in.op == GI_OP_STORE) continue;
                const Value &v = inputs.value(in.d);
                if (is_reduction(in.op) || (v.outlives && !v.constant))
                    registers.put(in.d, places.add_lasting(v.shape, inputs.register_size(in.d)));
            }
    }

    SectionSchedule make_section(const Section &section) {
        lives.enter(section);
        stencils.begin_section();
        selections.begin_section();
        accumulators.begin_section(section);
        scans.begin_section(section);
        places.begin_section();
        registers.begin_section();
        for (uint32_t at = 0; at < section.count; at++) {
            if (!lives.role(at).needed) continue;
            emit(lives.instruction(at), at);
            if (!chains.ends_at(at)) registers.release_dead(at);
        }
        chains.close();
        SectionSchedule made;
        made.kind = section.kind;
        made.once = steps.take(When::ONCE);
        made.per_block = steps.take(When::EACH_BLOCK);
        made.steps = steps.take();
        made.accumulators = accumulators.take();
        made.scans = scans.take();
        made.chains = chains.take_closed();
        made.lookups = lookups.take();
        made.stencils = stencils.take();
        made.windows = lookups.take_windows();
        made.linears = std::exchange(linears, {});
        registers.end_section();
        places.end_section(made);
        made.cost = cost(made);
        return made;
    }

    void emit(const Instruction &in, uint32_t at) {
        if (stencils.covers(at)) return stencils.add(in, at);
        if (is_reduction(in.op)) return accumulators.reduce(in, at);
        if (in.op == GI_OP_STORE) return moves.store(in, at);
        if (inputs.value(in.d).constant) return constants.add(in, points(lives.section()) > 0);
        if (lives.role(at).reads_kept) return registers.put(in.d, registers.kept_row(at));
        if (inputs.is_once(in.d)) return emit_once(in, at);
        if (in.op == GI_OP_LOAD) return moves.load(in, at);
        if (is_gather(in.op)) return lookups.add(in, at);
        if (is_scan(in.op)) return scans.add(in, at);
        if (accumulators.put_off(in, at) || selections.put_off(in, at)) return;
        if (selections.choose(in, at)) return;
        if (in.op != GI_OP_INDEX && in.op != GI_OP_CAST && chains.take(in, at)) return;
        chains.close();
        const auto sign = inputs.facts.signs.find(lives.section().first + at);
        if (sign != inputs.facts.signs.end()) return emit_sign(in, at, sign->second);
        if (in.op == GI_OP_INDEX) return emit_index(in, at);
        emit_apply(in, at);
    }

    void emit_once(const Instruction &in, uint32_t at) {
        steps.set_when(When::ONCE);
        const auto sign = inputs.facts.signs.find(lives.section().first + at);
        if (in.op == GI_OP_LOAD)
            moves.load(in, at);
        else if (is_gather(in.op))
            lookups.add(in, at);
        else if (sign != inputs.facts.signs.end())
            emit_sign(in, at, sign->second);
        else if (in.op == GI_OP_INDEX)
            emit_index(in, at);
        else
            emit_apply(in, at);
        steps.set_when(When::EACH_TILE);
    }

    void emit_index(const Instruction &in, uint32_t at) {
        const uint16_t d = registers.result(in, at);
        Step &step = steps.add(Step::IOTA, inputs.value(in.d).shape, 8, d, 0);
        step.n = uint16_t(inputs.layout.from_program[in.n]);
    }

    void emit_sign(const Instruction &in, uint32_t at, const Linear &linear) {
        const uint16_t d = registers.result(in, at);
        Step &step = steps.add(Step::BELOW, inputs.value(in.d).shape, 1, d, d);
        step.n = uint16_t(linears.size());
        linears.push_back(linear);
    }

    void emit_apply(const Instruction &in, uint32_t at) {
        const uint8_t shape = inputs.value(in.d).shape;
        const int count = operand_count(in);
        const uint16_t reads[] = {in.a, in.b, in.c};
        unsigned scalars = 0;
        for (int o = 0; o < count; o++)
            if (shape != UNIFORM && inputs.value(reads[o]).shape == UNIFORM) scalars |= 1u << o;
        // Rare variants are not built: then a scalar is expanded, the first one that helps.
        unsigned variant = scalars;
        while (!inputs.loop(in, variant)) {
            if (!variant) throw std::logic_error("The interpreter lacks a loop of an instruction.");
            variant = (variant - 1) & scalars;
        }
        uint16_t from[3] = {0, 0, 0};
        for (int o = 0; o < count; o++)
            from[o] =
                variant >> o & 1 ? registers.place(reads[o]) : registers.operand(reads[o], shape);
        for (int o = count; o < 3; o++) from[o] = from[0];
        const uint16_t d = registers.result(in, at);
        steps.apply(operation(in), inputs.loop(in, variant), shape, d, from[0], from[1], from[2]);
    }

    // Of a section, per element.
    double cost(const SectionSchedule &made) const {
        double cost = 0;
        for (const Step &step : made.steps)
            if (step.shape == inputs.tile)
                cost += step.kind == Step::APPLY || step.kind == Step::SELECT ? 0 : 2;
        for (uint32_t at = 0; at < lives.section().count; at++) {
            if (!lives.role(at).needed || lives.role(at).reads_kept) continue;
            const Instruction &in = lives.instruction(at);
            const bool moves = in.op == GI_OP_LOAD || in.op == GI_OP_STORE;
            if (in.op == GI_OP_STORE || is_reduction(in.op) ||
                inputs.value(in.d).shape == inputs.tile)
                cost += op_cost(in) + moves;
        }
        return cost;
    }

    // At which a section runs.
    // Whether some point stores, or can set the error flag: rows without points are not walked
    // over. The twin of program/facts.py's.
    bool has_effects() const {
        for (const Section &section : inputs.program.sections) {
            if (points(section) == 0) continue;
            for (uint32_t k = 0; k < section.count; k++) {
                const Instruction &in = inputs.program.code[section.first + k];
                const bool may_fail = inputs.program.may_fail[section.first + k];
                if (in.op == GI_OP_STORE) return true;
                if (may_fail && !inputs.value(in.d).constant) return true;
            }
        }
        return false;
    }

    double points(const Section &section) const {
        const Layout &l = inputs.layout;
        double points = 1;
        for (int a = 0; a < l.rank; a++)
            if (section.kind != SectionKind::SCALAR || !l.reduced[a]) points *= double(l.extent[a]);
        return points;
    }
};

} // namespace

std::shared_ptr<const Schedule> make_schedule(const Program &program, const Binding &binding,
                                              const std::vector<uint16_t> &groups,
                                              const LoopTable &loops) {
    return Scheduler(program, binding, groups, loops).run();
}

} // namespace gint
