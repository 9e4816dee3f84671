// SPDX-License-Identifier: BSD-3-Clause
// The order in which the row frequencies of a half spectrum stand and are treated.
#pragma once
#include "vec.h"

namespace dash {
namespace DASH_ISA {

// Row frequencies that are treated together, a pair (f, n / 2 - f) of a map or some pairs of series, in the order in
// which their columns stand. n / 4 has no partner and comes last in its unit.
struct Unit {
  static constexpr int64_t kSeriesPairs = 4;
  int64_t count;
  int64_t frequency[2 * kSeriesPairs];
  int64_t place[2 * kSeriesPairs];  // where each would stand if none were missing
};

// What one worker does at a time: a unit of maps, or up to kMost of series, so that the taps are read less often.
struct Run {
  static constexpr int64_t kMost = 2;
  int64_t count;
  Unit unit[kMost];
};

// Pair g of the n / 2 + 1 frequencies is g and n / 2 - g, g <= n / 4. A unit of maps is one pair. A unit of series is
// four: neighbours or, if 8 divides n, those of one octet (octets.h): u, e - u, e + u and 2 e - u, where e = n / 8.
// With u = 0 and with u = e / 2 some of these are the same and stand once.
struct PairOrder {
  int64_t n, per_unit;
  int64_t eighth;  // n / 8, or 0 where neighbours are treated together

  static PairOrder of_maps(int64_t n) { return {n, 1, 0}; }
  static PairOrder of_series(int64_t n) { return {n, Unit::kSeriesPairs, n % 8 ? 0 : n / 8}; }

  int64_t pairs() const { return n / 4 + 1; }
  int64_t units() const { return eighth ? eighth / 2 + 1 : ceil_div(pairs(), per_unit); }

  int64_t unit_of(int64_t g) const {
    if (!eighth) return g / per_unit;
    const int64_t step = 2 * g / eighth;
    return step % 2 ? (step + 1) / 2 * eighth - g : g - step / 2 * eighth;
  }
  int64_t slot_of(int64_t g) const {
    if (!eighth) return g % per_unit;
    const int64_t step = 2 * g / eighth, unit = unit_of(g);  // where some are the same every second one is missing
    return unit == 0 || 2 * unit == eighth ? step / 2 : step;
  }
  Unit unit(int64_t index) const {
    Unit unit{0, {}, {}};
    const auto push = [&](int64_t f, int64_t place) {
      unit.frequency[unit.count] = f;
      unit.place[unit.count++] = place;
    };
    const int64_t octet[] = {index, eighth - index, eighth + index, 2 * eighth - index};
    int64_t last = -1;
    for (int64_t i = 0; i < per_unit; ++i) {
      const int64_t g = eighth ? octet[i] : index * per_unit + i;
      if (g == last || g >= pairs()) continue;
      push(last = g, 2 * i);
      if (4 * g < n) push(n / 2 - g, 2 * i + 1);
    }
    return unit;
  }
};

}  // namespace DASH_ISA
}  // namespace dash
