// SPDX-License-Identifier: BSD-3-Clause
#include "direct_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>

namespace dash {
namespace {

constexpr int64_t kNowhere = std::numeric_limits<int64_t>::min();
constexpr int64_t kLargest = int64_t{1} << 31;  // elements of a buffer, entries of a table, pixels of an axis

int64_t modulo(int64_t value, int64_t n) {
  return ((value % n) + n) % n;
}
int64_t floor_div(int64_t value, int64_t n) {
  return (value - modulo(value, n)) / n;
}

void check(const DirectProblem& problem, bool backward) {
  const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
  if (problem.groups < 1 || problem.in_channels % problem.groups || problem.out_channels % problem.groups)
    fail("groups must divide both channel counts");
  if (problem.num_taps >= kLargest) fail("there are too many taps");
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t n = problem.in[axis], m = problem.out[axis], s = problem.stride[axis];
    if (n < 1 || m < 1 || s < 1) fail("sizes and strides must be at least 1");
    if (n >= kLargest || m >= kLargest || (m > 1 && s >= kLargest)) fail("sizes and strides must be below 2^31");
    if (backward && problem.circular && (s > 1 || m != n))
      fail("the input gradient of a circular convolution takes stride 1 and an output as large as the input");
  }
}

}  // namespace

// One axis of a source and its result: pixel q of the result reads source pixel (up ? (q + offset) / stride : stride *
// q + offset), if there is one.
struct DirectPlan::Axis {
  int64_t source, result, stride;
  bool up, circular;

  int64_t at(int64_t q, int64_t offset) const {
    const int64_t position = up ? q + offset : stride * q + offset;
    if (circular) return modulo(position, source);
    if (up && modulo(position, stride)) return kNowhere;
    const int64_t pixel = up ? position / stride : position;
    return position < 0 || pixel >= source ? kNowhere : pixel;
  }
  // Without overflow for any offset.
  bool reaches(int64_t offset) const {
    if (circular) return true;
    return up ? offset < stride * (source - 1) + 1 && offset > -result
              : offset < source && offset >= -stride * (result - 1);
  }
};

DirectPlan::DirectPlan(const DirectProblem& problem, bool backward, const int64_t* offsets) {
  check(problem, backward);
  Axis axes[3];
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t n = problem.in[axis], m = problem.out[axis], s = m > 1 ? problem.stride[axis] : 1;
    axes[axis] = backward ? Axis{m, n, s, true, problem.circular} : Axis{n, m, s, false, problem.circular};
  }
  std::vector<int64_t> row_offsets, column_offsets, group;
  std::map<std::pair<int64_t, int64_t>, int64_t> groups;
  for (int64_t t = 0; t < problem.num_taps; ++t) {
    int64_t offset[3];
    bool reaches = true;
    for (int axis = 0; axis < 3; ++axis) {
      offset[axis] = offsets[3 * t + axis];
      if (problem.circular) offset[axis] = modulo(offset[axis], problem.in[axis]);
      if (backward) offset[axis] = -std::max(offset[axis], -kLargest * kLargest);
      reaches = reaches && axes[axis].reaches(offset[axis]);
    }
    if (!reaches) continue;
    const auto [found, is_new] = groups.try_emplace({offset[0], offset[1]}, static_cast<int64_t>(groups.size()));
    if (is_new) row_offsets.insert(row_offsets.end(), offset, offset + 2);
    taps_.push_back(t);
    column_offsets.push_back(offset[2]);
    group.push_back(found->second);
  }
  find_columns(axes[2], column_offsets, group);
  find_rows(axes, row_offsets);
  add_spans();
  table_.first = first_.data();
  table_.phase_width = phase_width_.data();
  table_.row_base = row_base_.data();
  table_.row_list = row_list_.data();
  table_.list = list_.data();
  table_.span = span_.data();
  table_.entries = entries_.data();
}

// Which stretch of columns each tap reads, from which element on, for every phase of the result.
void DirectPlan::find_columns(const Axis& axis, const std::vector<int64_t>& offsets,
                              const std::vector<int64_t>& group) {
  const int64_t s = axis.stride;
  table_.source_width = axis.source;
  table_.result_width = axis.result;
  table_.circular = axis.circular;
  table_.step = axis.up ? 1 : s;
  table_.phase_step = axis.up ? s : 1;
  table_.phases = std::min(table_.phase_step, axis.result);
  columns_.resize(static_cast<size_t>(table_.phases));
  std::map<int64_t, int64_t> stretches;
  for (size_t i = 0; i < offsets.size(); ++i) {
    const int64_t offset = axis.circular ? modulo(offsets[i], axis.source) : offsets[i];
    if (axis.up) {
      stretches[0] = 0;
      const int64_t phase = modulo(-offset, s);
      if (phase < table_.phases)
        columns_[static_cast<size_t>(phase)].push_back({taps_[i], group[i], 0, (phase + offset) / s});
    } else {
      const int64_t first = modulo(offset, s);
      const auto [found, is_new] = stretches.try_emplace(first, static_cast<int64_t>(stretches.size()));
      columns_[0].push_back({taps_[i], group[i], found->second, floor_div(offset, s)});
    }
  }
  first_.resize(stretches.size());
  for (const auto& [first, stretch] : stretches)
    first_[static_cast<size_t>(stretch)] = first;
  for (auto& columns : columns_)
    std::stable_sort(columns.begin(), columns.end(), [](const Column& a, const Column& b) { return a.shift < b.shift; });
  table_.stretches = static_cast<int64_t>(first_.size());
  table_.length = axis.circular ? axis.result + (axis.source - 1) / s : (axis.source + table_.step - 1) / table_.step;
  table_.pad = std::max<int64_t>(2 * kStep, table_.length / 8);
  table_.pitch = table_.stretches * (table_.length + 2 * table_.pad);
  for (int64_t phase = 0; phase < table_.phases; ++phase)
    phase_width_.push_back((axis.result - phase + table_.phase_step - 1) / table_.phase_step);
  table_.blocks = (phase_width_[0] + kStep - 1) / kStep;
}

// The list of every result row: rows whose taps read source rows at the same distances share one.
void DirectPlan::find_rows(const Axis* axes, const std::vector<int64_t>& row_offsets) {
  table_.source_rows = axes[0].source * axes[1].source;
  table_.result_rows = axes[0].result * axes[1].result;
  if (table_.source_rows * table_.pitch >= kLargest) throw std::invalid_argument("the source map is too large");
  const auto base = [](const Axis& axis, int64_t q) { return axis.up ? q / axis.stride : axis.stride * q; };
  std::map<std::vector<int64_t>, int64_t> known;
  std::vector<int64_t> shift(row_offsets.size() / 2);
  list_.push_back(0);
  for (int64_t q = 0; q < table_.result_rows; ++q) {
    const int64_t plane = q / axes[1].result, row = q % axes[1].result;
    const int64_t origin = base(axes[0], plane) * axes[1].source + base(axes[1], row);
    for (size_t g = 0; g < shift.size(); ++g) {
      const int64_t from = axes[0].at(plane, row_offsets[2 * g]), at = axes[1].at(row, row_offsets[2 * g + 1]);
      shift[g] = from == kNowhere || at == kNowhere ? kNowhere : from * axes[1].source + at - origin;
    }
    const auto [found, is_new] = known.try_emplace(shift, static_cast<int64_t>(list_.size()) - 1);
    if (is_new) add_lists(shift);
    row_base_.push_back(origin * table_.pitch);
    row_list_.push_back(found->second);
  }
}

void DirectPlan::add_lists(const std::vector<int64_t>& row_shift) {
  for (const auto& columns : columns_) {
    for (const Column& column : columns) {
      const int64_t rows = row_shift[static_cast<size_t>(column.group)];
      if (rows == kNowhere) continue;
      const int64_t at =
          rows * table_.pitch + column.stretch * (table_.length + 2 * table_.pad) + table_.pad + column.shift;
      entries_.push_back({static_cast<int32_t>(column.tap), static_cast<int32_t>(column.shift), at});
    }
    if (static_cast<int64_t>(entries_.size()) > kMostEntries)
      throw std::invalid_argument("there are too many taps for so many rows");
    list_.push_back(static_cast<int32_t>(entries_.size()));
  }
}

// In a list sorted by shift the taps that reach a block of pixels stand together.
void DirectPlan::add_spans() {
  const int64_t blocks = table_.blocks, lists = static_cast<int64_t>(list_.size()) - 1;
  span_.resize(static_cast<size_t>(2 * blocks * lists));
  int32_t* span = span_.data();
  for (int64_t i = 0; i < lists; ++i) {
    const TapEntry* const begin = entries_.data() + list_[static_cast<size_t>(i)];
    const TapEntry* const end = entries_.data() + list_[static_cast<size_t>(i) + 1];
    const int64_t width = phase_width_[static_cast<size_t>(i % table_.phases)];
    const TapEntry *from = end, *to = end;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = kStep * block, last = std::min(first + kStep, width) - 1;
      while (from > begin && from[-1].shift + last >= 0)
        --from;
      while (to > begin && to[-1].shift + first >= table_.length)
        --to;
      *span++ = static_cast<int32_t>(from - begin);
      *span++ = static_cast<int32_t>(to - begin);
    }
  }
}

}  // namespace dash
