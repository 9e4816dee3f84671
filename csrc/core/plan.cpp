// SPDX-License-Identifier: BSD-3-Clause
#include "plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

namespace dash {
namespace {

constexpr double kTwoPi = 6.283185307179586476925286766559;

int64_t modulo(int64_t value, int64_t n) {
  return ((value % n) + n) % n;
}

// exp(2 pi i j / n), reduced to the first octant first so that every table entry is correctly rounded or next to it.
void root_of_unity(int64_t j, int64_t n, double* re, double* im) {
  j = modulo(j, n);
  const int64_t octant = (8 * j) / n;
  const int64_t quarter = (octant + 1) / 2;               // the nearest multiple of a quarter turn
  const double rest = (4.0 * j - 1.0 * quarter * n) / n;  // in quarter turns, exact enough: |rest| <= 1/2
  const double c = std::cos(kTwoPi / 4 * rest), s = std::sin(kTwoPi / 4 * rest);
  switch (quarter % 4) {
    case 0:
      *re = c, *im = s;
      break;
    case 1:
      *re = -s, *im = c;
      break;
    case 2:
      *re = -c, *im = -s;
      break;
    default:
      *re = s, *im = -c;
  }
}

constexpr int64_t kOnePass = 8;  // up to here one radix is as fast as two

// Which of two radices comes first, as measured of some thirty lengths up to 192 (AVX-512, AMD EPYC,
// docs/performance.md): the small one, unless it is a multiple of 5 or the other is 12.
bool small_first(int64_t large, int64_t small) {
  return small % 5 != 0 && large != 12;
}

// Radices of the passes: as few as can be, for each writes the whole array once, but never one alone above kOnePass;
// among those the smallest largest radix, for the large ones run out of registers. Large ones come first.
std::vector<int64_t> radices(int64_t n) {
  const int64_t most = n <= kOnePass ? n : n - 1;
  std::vector<int64_t> best;
  const auto search = [&](auto&& self, int64_t rest, int64_t limit, std::vector<int64_t> chosen) -> void {
    if (rest == 1) {
      if (best.empty() || chosen.size() < best.size() || (chosen.size() == best.size() && chosen < best)) best = chosen;
      return;
    }
    for (int64_t radix : {16, 12, 10, 9, 8, 6, 5, 4, 3, 2}) {
      if (radix > limit || rest % radix) continue;
      chosen.push_back(radix);
      self(self, rest / radix, radix, chosen);
      chosen.pop_back();
    }
  };
  search(search, n, most, {});
  if (best.size() == 2 && small_first(best[0], best[1])) std::swap(best[0], best[1]);
  return best;
}

template <class T>
class OwnedPlan {
 public:
  explicit OwnedPlan(int64_t n) {
    plan_.n = n;
    plan_.complex = make(n);
    std::vector<T>& root = keep();
    for (int64_t j = 0; j < n; ++j)
      push_root(root, j, n);
    plan_.root = root.data();
  }
  const LengthPlan<T>& get() const { return plan_; }

 private:
  std::vector<T>& keep() {
    tables_.push_back(std::make_unique<std::vector<T>>());
    return *tables_.back();
  }
  static void push_root(std::vector<T>& table, int64_t j, int64_t n) {
    double re, im;
    root_of_unity(j, n, &re, &im);
    table.push_back(static_cast<T>(re));
    table.push_back(static_cast<T>(im));
  }
  FftPlan<T> make(int64_t n) {
    FftPlan<T> plan{n, 0, {}};
    int64_t s = 1;
    for (int64_t radix : radices(n)) {
      const int64_t rest = n / s, m = rest / radix;
      std::vector<T>& twiddle = keep();
      for (int64_t p = 0; p < m; ++p)
        for (int64_t k = 1; k < radix; ++k)
          push_root(twiddle, -p * k, rest);
      plan.pass[plan.passes++] = {radix, m, s, twiddle.data()};
      s *= radix;
    }
    return plan;
  }

  LengthPlan<T> plan_;
  std::vector<std::unique_ptr<std::vector<T>>> tables_;
};

bool reaches(const ConvProblem& problem, const int64_t* offset) {
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t last = problem.stride[axis] * (problem.out[axis] - 1);
    if (!problem.circular && (offset[axis] >= problem.in[axis] || offset[axis] + last < 0)) return false;
  }
  return true;
}

}  // namespace

bool is_smooth(int64_t n) {
  for (int64_t factor : {2, 3, 5})
    while (n > 0 && n % factor == 0)
      n /= factor;
  return n == 1;
}

template <class T>
const LengthPlan<T>& length_plan(int64_t n) {
  static std::mutex mutex;
  static std::map<int64_t, std::unique_ptr<OwnedPlan<T>>> plans;
  if (n < 1 || !is_smooth(n))
    throw std::invalid_argument("transform length " + std::to_string(n) + " has factors other than 2, 3 and 5");
  const std::lock_guard<std::mutex> lock(mutex);
  auto& plan = plans[n];
  if (!plan) plan = std::make_unique<OwnedPlan<T>>(n);
  return plan->get();
}

template const LengthPlan<float>& length_plan<float>(int64_t);
template const LengthPlan<double>& length_plan<double>(int64_t);

SortedTaps::SortedTaps(const ConvProblem& problem, const int64_t* offsets)
    : by_residue_(problem.length[0] == 1 && problem.length[1] % 8 == 0) {
  struct Tap {
    int64_t row, residue, distance;  // modulo the length, columns d and -d are as far from 0
    bool is_minus;
    int64_t stored;
    std::tuple<int64_t, bool, int64_t, int64_t> place() const { return {row, distance % 2, residue, distance}; }
  };
  const int64_t length = problem.length[1];
  std::vector<Tap> order;
  for (int64_t t = 0; t < problem.num_taps; ++t) {
    if (!reaches(problem, offsets + 2 * t)) continue;
    const int64_t column = modulo(offsets[2 * t + 1], length);
    // Residues 5 to 7 are those of the opposite columns, which take their place.
    const bool is_minus =
        by_residue_ ? column % 8 > 4 || (column % 4 == 0 && 2 * column > length) : 2 * column > length;
    const int64_t row = modulo(offsets[2 * t], problem.length[0]), distance = is_minus ? length - column : column;
    order.push_back({row, by_residue_ ? distance % 8 : 0, distance, is_minus, t});
  }
  std::stable_sort(order.begin(), order.end(), [](const Tap& a, const Tap& b) { return a.place() < b.place(); });
  for (auto tap = order.begin(); tap != order.end();) {
    if (row_pos_.empty() || row_pos_.back() != tap->row) {
      row_pos_.push_back(tap->row);
      row_start_.push_back(static_cast<int64_t>(plus_.size()));
      row_middle_.push_back(row_start_.back());
    }
    // Those at one distance, of which there are more than two where offsets repeat.
    size_t next[2] = {plus_.size(), plus_.size()};  // pair for the next plus, the next minus
    const int64_t residue = tap->residue;
    if (residue_end_[residue] == 0) residue_start_[residue] = static_cast<int64_t>(plus_.size());
    for (const auto place = tap->place(); tap != order.end() && tap->place() == place; ++tap) {
      const size_t pair = next[tap->is_minus]++;
      if (pair == plus_.size()) {
        col_pos_.push_back(tap->distance);
        plus_.push_back(-1);
        minus_.push_back(-1);
      }
      (tap->is_minus ? minus_ : plus_)[pair] = tap->stored;
    }
    residue_end_[residue] = static_cast<int64_t>(plus_.size());
    if ((tap - 1)->distance % 2 == 0) row_middle_.back() = static_cast<int64_t>(plus_.size());
  }
  row_start_.push_back(static_cast<int64_t>(plus_.size()));
}

TapList SortedTaps::list() const {
  return {static_cast<int64_t>(plus_.size()),
          static_cast<int64_t>(row_pos_.size()),
          plus_.data(),
          minus_.data(),
          col_pos_.data(),
          row_start_.data(),
          row_middle_.data(),
          row_pos_.data(),
          by_residue_ ? residue_start_ : nullptr,
          by_residue_ ? residue_end_ : nullptr};
}

int64_t SortedTaps::bytes() const {
  const size_t numbers =
      plus_.size() + minus_.size() + col_pos_.size() + row_start_.size() + row_middle_.size() + row_pos_.size();
  return static_cast<int64_t>(numbers * sizeof(int64_t));
}

void check_problem(const ConvProblem& problem, const int64_t* offsets) {
  const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
  if (problem.groups < 1 || problem.in_channels % problem.groups || problem.out_channels % problem.groups)
    fail("groups must divide both channel counts");
  if (problem.in_channels < 1 || problem.out_channels < 1) fail("there must be channels on both sides");
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t n = problem.in[axis], length = problem.length[axis], s = problem.stride[axis];
    if (n < 1 || problem.out[axis] < 1 || s < 1) fail("sizes and strides must be at least 1");
    if (!is_smooth(length) || length % s)
      fail("transform length " + std::to_string(length) + " is not a smooth multiple of the stride");
    if (axis == 1 && (length / s) % 2)
      fail("transform length " + std::to_string(length) + " along a row must be an even multiple of the stride");
    if (length < n || length / s < problem.out[axis])
      fail("transform length " + std::to_string(length) + " is shorter than the map");
    if (problem.circular) {
      if (length != n) fail("a circular transform has the length of the map");
      continue;
    }
    for (int64_t t = 0; t < problem.num_taps; ++t) {
      const int64_t offset = offsets[2 * t + axis], last = s * (problem.out[axis] - 1) + offset;
      if (!reaches(problem, offsets + 2 * t)) continue;
      if (offset < n - length || last >= length)
        fail("transform length " + std::to_string(length) + " is too short for offset " + std::to_string(offset));
    }
  }
}

}  // namespace dash
