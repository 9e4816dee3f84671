// SPDX-License-Identifier: BSD-3-Clause
// Which of the direct sums' forms computes a problem.
#pragma once
#include "direct_transfer.h"
#include "direct_weights.h"

namespace dash {
namespace DASH_ISA {

// Two results of a block share the loads of their pixels, unless one of them would too often be padding.
inline bool in_pairs(int64_t vectors) {
  return vectors % 2 == 0 || vectors > 4;
}

// body(form) with the DirectTransfer or DirectWeightGrad of that problem.
template <class T, Lane kLane, int kJ, class Body>
inline void with_form(ConvOp op, const TapTable& table, const UnitShape& shape, const Body& body) {
  if (op == ConvOp::weight_grad)
    body(DirectWeightGrad<T, kLane, kJ>(table, shape));
  else
    body(DirectTransfer<T, kLane, kJ>(table, shape, op == ConvOp::forward));
}
template <class T, Lane kLane, class Body>
inline void with_pairs(ConvOp op, const TapTable& table, const UnitShape& shape, const Body& body) {
  if (in_pairs(Units<T, kLane>(shape).vectors()))
    with_form<T, kLane, 2>(op, table, shape, body);
  else
    with_form<T, kLane, 1>(op, table, shape, body);
}
template <class T, class Body>
inline void with_direct(ConvOp op, const DirectProblem& problem, const TapTable& table, const Body& body) {
  const int64_t in = problem.in_channels / problem.groups, out = problem.out_channels / problem.groups;
  const bool backward = op == ConvOp::input_grad;
  const UnitShape shape{problem.batch,
                        problem.groups,
                        backward ? out : in,
                        backward ? in : out,
                        problem.num_taps,
                        backward ? problem.out_maps : problem.in_maps,
                        backward ? problem.in_maps : problem.out_maps};
  switch (shape.cheapest_lanes(kLanes<T>)) {
    case Lane::results:
      return with_pairs<T, Lane::results>(op, table, shape, body);
    case Lane::samples:
      return with_pairs<T, Lane::samples>(op, table, shape, body);
    case Lane::units:
      return with_form<T, Lane::units, 1>(op, table, shape, body);
  }
}

}  // namespace DASH_ISA
}  // namespace dash
