// SPDX-License-Identifier: BSD-3-Clause
// What the kernels of the direct sums share: maps of three axes (fewer have ones in front), and the taps as a table.
//
// Each entry of the table names a tap and where it reads relative to a position. A tap may have several: on a map that
// wraps around, one for every period that it can reach into. So no kernel knows of periods.
#pragma once
#include "dialect.h"

namespace dash {
namespace cuda {

constexpr int kDirectThreads = 256;
constexpr int kAxes = 3;

struct Volume {
  int size[kAxes] = {1, 1, 1};
  int step[kAxes] = {1, 1, 1};  // pixel i lies at step * i

  DASH_ANYWHERE int64_t pixels() const { return static_cast<int64_t>(size[0]) * size[1] * size[2]; }
};

struct Position {
  int at[kAxes];
};

// Where a pixel of the volume, by its number, lies.
DASH_DEVICE Position position_of(const Volume& volume, int64_t pixel) {
  const int64_t line = pixel / volume.size[2];
  const int64_t plane = line / volume.size[1];
  return {{static_cast<int>(plane) * volume.step[0], static_cast<int>(line - plane * volume.size[1]) * volume.step[1],
           static_cast<int>(pixel - line * volume.size[2]) * volume.step[2]}};
}

// The number of the pixel at a position, or -1. Without kSteps pixels lie side by side.
template <bool kSteps>
DASH_DEVICE int pixel_at(const Volume& volume, const Position& position, const Position& offset) {
  int number = 0;
  for (int axis = 0; axis < kAxes; ++axis) {
    const int at = position.at[axis] + offset.at[axis];
    int pixel = at;
    if constexpr (kSteps) {
      if (at < 0 || at % volume.step[axis] != 0) return -1;
      pixel = at / volume.step[axis];
    }
    if (static_cast<unsigned>(pixel) >= static_cast<unsigned>(volume.size[axis])) return -1;
    number = number * volume.size[axis] + pixel;
  }
  return number;
}

// The entries: tap and offset per axis, by tap.
struct TapTable {
  int entries, num_taps;
  Global<const int> rows;  // (entries, 1 + kAxes)

  DASH_DEVICE int tap(int entry) const { return rows.load(static_cast<int64_t>(entry) * (1 + kAxes)); }
  DASH_DEVICE Position offset(int entry) const {
    const int64_t first = static_cast<int64_t>(entry) * (1 + kAxes) + 1;
    return {{rows.load(first), rows.load(first + 1), rows.load(first + 2)}};
  }
};

}  // namespace cuda
}  // namespace dash
