// SPDX-License-Identifier: BSD-3-Clause
// Complex scalars in the form that a product over channels takes them.
#pragma once
#include "vec.h"

namespace dash {
namespace DASH_ISA {

// kLanes complex scalars c + i d.
template <class T>
struct Factor {
  Vec<T> c, difference, sum;  // c, d - c, c + d
};
template <class T>
DASH_INLINE Factor<T> factor(Cx<T> q) {
  return {q.re, q.im - q.re, q.re + q.im};
}
template <class T>
constexpr int64_t kFactorScalars = 3 * kLanes<T>;

}  // namespace DASH_ISA
}  // namespace dash
