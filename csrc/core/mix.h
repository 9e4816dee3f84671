// SPDX-License-Identifier: BSD-3-Clause
// Sums packed candidate kernels onto the tap lattice, and the adjoints: a trilinear form in weights, mixture and taps.
// kLanes weight rows at a time, so the scatter through `index` moves whole vectors. Weights whose index is -1 take no
// part: long stretches of them are not read.
#pragma once
#include "vec.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct Mix {
  const MixProblem& problem;

  int64_t vectors() const { return ceil_div(problem.rows, kLanes<T>); }

  struct Workspace {
    Vec<T>*packed, *lattice, *mixture;  // one of each per worker
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    return {arena.take<Vec<T>>(count * problem.packed), arena.take<Vec<T>>(count * problem.lattice),
            arena.take<Vec<T>>(count * problem.candidates)};
  }
  Lanes<T> rows(int64_t vector, int64_t stride) const {
    return Lanes<T>::strided(stride, problem.rows - vector * kLanes<T>);
  }

  // body(candidate, packed tap, lattice tap) for every packed tap that has one, candidate by candidate.
  template <class Body>
  DASH_INLINE void for_each_tap(const Body& body) const {
    for (int64_t candidate = 0, i = 0; candidate < problem.candidates; ++candidate)
      for (const int64_t end = i + problem.counts[candidate]; i < end; ++i)
        if (problem.index[i] >= 0) body(candidate, i, problem.index[i]);
  }

  // Packed rows of a vector, but for stretches that nobody asks for.
  void load_packed(const T* weight, int64_t v, Vec<T>* packed) const {
    constexpr int64_t kGap = 2 * kLanes<T>;  // shorter ones are read through
    const T* const base = weight + v * kLanes<T> * problem.packed;
    const auto unused = [this](int64_t i) { return problem.index[i] < 0; };
    for (int64_t begin = 0, end; begin < problem.packed; begin = end) {
      end = begin;
      if (unused(begin)) {
        while (end < problem.packed && unused(end))
          ++end;
        continue;
      }
      for (int64_t i = begin; i < problem.packed && i - end < kGap; ++i)
        if (!unused(i)) end = i + 1;
      const int64_t from = larger(0, smaller(begin, problem.packed - kLanes<T>));
      load_lanes(base + from, rows(v, problem.packed), larger(end, smaller(from + kLanes<T>, problem.packed)) - from,
                 packed + from);
    }
  }

  void mix_taps(const T* weight, const T* mixture, T* taps, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    parallel_pieces(workers, vectors(), [&](int64_t worker, int64_t begin, int64_t end) {
      Vec<T>*const packed = w.packed + worker * problem.packed, *const lattice = w.lattice + worker * problem.lattice;
      for (int64_t v = begin; v < end; ++v) {
        load_packed(weight, v, packed);
        for (int64_t t = 0; t < problem.lattice; ++t)
          lattice[t] = Vec<T>{};
        for_each_tap([=](int64_t candidate, int64_t i, int64_t t) { lattice[t] += packed[i] * mixture[candidate]; });
        store_lanes(taps + v * kLanes<T> * problem.lattice, rows(v, problem.lattice), problem.lattice, lattice, T(1));
      }
    });
  }

  void gather_taps(const T* gradient, const T* mixture, T* weight, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    parallel_pieces(workers, vectors(), [&](int64_t worker, int64_t begin, int64_t end) {
      Vec<T>*const packed = w.packed + worker * problem.packed, *const lattice = w.lattice + worker * problem.lattice;
      for (int64_t v = begin; v < end; ++v) {
        load_lanes(gradient + v * kLanes<T> * problem.lattice, rows(v, problem.lattice), problem.lattice, lattice);
        for (int64_t i = 0; i < problem.packed; ++i)
          if (problem.index[i] < 0) packed[i] = Vec<T>{};
        for_each_tap([=](int64_t candidate, int64_t i, int64_t t) { packed[i] = lattice[t] * mixture[candidate]; });
        store_lanes(weight + v * kLanes<T> * problem.packed, rows(v, problem.packed), problem.packed, packed, T(1));
      }
    });
  }

  void mixture_grad(const T* gradient, const T* weight, T* mixture, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    const int64_t pieces = larger(1, smaller(workers.count, vectors()));
    parallel_pieces(workers, vectors(), [&](int64_t worker, int64_t begin, int64_t end) {
      Vec<T>*const packed = w.packed + worker * problem.packed, *const lattice = w.lattice + worker * problem.lattice;
      Vec<T>* const sum = w.mixture + worker * problem.candidates;
      for (int64_t m = 0; m < problem.candidates; ++m)
        sum[m] = Vec<T>{};
      for (int64_t v = begin; v < end; ++v) {
        load_lanes(gradient + v * kLanes<T> * problem.lattice, rows(v, problem.lattice), problem.lattice, lattice);
        load_packed(weight, v, packed);
        for_each_tap([=](int64_t candidate, int64_t i, int64_t t) { sum[candidate] += packed[i] * lattice[t]; });
      }
    });
    for (int64_t m = 0; m < problem.candidates; ++m) {
      T total(0);
      for (int64_t worker = 0; worker < pieces; ++worker)
        for (int l = 0; l < kLanes<T>; ++l)
          total += w.mixture[worker * problem.candidates + m][l];
      mixture[m] = total;
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
