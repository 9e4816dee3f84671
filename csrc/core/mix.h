// SPDX-License-Identifier: BSD-3-Clause
// Sums packed candidate kernels onto the tap lattice, and the adjoints: a trilinear form in weights, mixture and taps.
// kLanes weight rows at a time, so the scatter through `index` moves whole vectors; the packed taps of those rows pass
// in squares of kLanes, which are read once and written once. Weights whose index is -1 take no part: squares of them
// are not read.
#pragma once
#include "vec.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct Mix {
  const MixProblem& problem;

  int64_t vectors() const { return ceil_div(problem.rows, kLanes<T>); }
  int64_t squares() const { return ceil_div(problem.packed, kLanes<T>); }
  int64_t width() const { return smaller(problem.packed, kLanes<T>); }
  // Where a square begins: the last one overlaps the one before.
  int64_t start(int64_t square) const { return smaller(square * kLanes<T>, problem.packed - width()); }

  // What one packed tap is multiplied with; a tap that takes no part, with the zero behind the lattice.
  struct Tap {
    int64_t lattice;
    T share;
  };
  // Taps of one candidate that take part and lie side by side in one square; each packed tap is in one run at most.
  struct Run {
    int64_t candidate, begin, end;
  };
  struct Workspace {
    Tap* taps;                 // [packed]
    Run* runs;                 // [packed]
    int64_t* first_run;        // [squares + 1]
    Vec<T>*lattice, *of_rows;  // one of each per worker
    Vec<T>* scores;            // one per piece
  };
  // The rows are cut into so many pieces, for whoever is free; sums that depend on their order are kept by piece.
  int64_t pieces(int64_t workers) const {
    constexpr int64_t kPerWorker = 8;
    return larger(1, smaller(vectors(), workers == 1 ? 1 : kPerWorker * workers));
  }
  Workspace make_workspace(Arena& arena, int64_t count) const {
    return {arena.take<Tap>(problem.packed),
            arena.take<Run>(problem.packed),
            arena.take<int64_t>(squares() + 1),
            arena.take<Vec<T>>(count * (problem.lattice + 1)),
            arena.take<Vec<T>>(count * problem.candidates),
            arena.take<Vec<T>>(pieces(count) * problem.candidates)};
  }

  Lanes<T> rows(int64_t vector, int64_t stride) const {
    return Lanes<T>::strided(stride, problem.rows - vector * kLanes<T>);
  }

  // Without mixture every share is one.
  Workspace prepared(const T* mixture, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    int64_t runs = 0, i = 0;
    for (int64_t candidate = 0; candidate < problem.candidates; ++candidate) {
      for (const int64_t end = i + problem.counts[candidate]; i < end; ++i) {
        const int64_t place = i % kLanes<T>;
        if (place == 0) w.first_run[i / kLanes<T>] = runs;
        const bool used = problem.index[i] >= 0;
        w.taps[i] = {used ? problem.index[i] : problem.lattice, !used ? T(0) : mixture ? mixture[candidate] : T(1)};
        if (!used) continue;
        Run* const last = w.runs + runs - 1;
        if (runs > w.first_run[i / kLanes<T>] && last->candidate == candidate && last->end == i)
          ++last->end;
        else
          w.runs[runs++] = {candidate, i, i + 1};
      }
    }
    w.first_run[squares()] = runs;
    return w;
  }

  // body(worker, piece, begin, end, lattice), with a worker's lattice vectors and a zero behind them.
  template <class Body>
  void for_rows(const Workspace& w, const Workers& workers, const Body& body) const {
    const int64_t count = pieces(workers.count);
    parallel(workers, count, [&](int64_t worker, int64_t piece) {
      Vec<T>* const lattice = w.lattice + worker * (problem.lattice + 1);
      lattice[problem.lattice] = Vec<T>{};
      body(worker, piece, piece * vectors() / count, (piece + 1) * vectors() / count, lattice);
    });
  }

  DASH_INLINE void load_packed(const T* from, const Lanes<T>& lanes, Vec<T>* square) const {
    if (width() == kLanes<T>)
      load_square(from, lanes, square);
    else
      load_lanes(from, lanes, width(), square);
  }
  DASH_INLINE void store_gathered(const Tap* taps, const Vec<T>* lattice, const Lanes<T>& lanes, T* to) const {
    Vec<T> square[kLanes<T>];
    if (width() == kLanes<T>) {
#pragma GCC unroll 16
      for (int place = 0; place < kLanes<T>; ++place)
        square[place] = lattice[taps[place].lattice] * taps[place].share;
      store_square(to, lanes, square);
    } else {
      for (int64_t place = 0; place < width(); ++place)
        square[place] = lattice[taps[place].lattice] * taps[place].share;
      store_lanes(to, lanes, width(), square);
    }
  }

  void mix_taps(const T* weight, const T* mixture, T* taps, void* buffer, const Workers& workers) const {
    const Workspace w = prepared(mixture, buffer, workers);
    for_rows(w, workers, [&](int64_t, int64_t, int64_t begin, int64_t end, Vec<T>* lattice) {
      for (int64_t v = begin; v < end; ++v) {
        for (int64_t t = 0; t < problem.lattice; ++t)
          lattice[t] = Vec<T>{};
        const Lanes<T> lanes = rows(v, problem.packed);
        for (int64_t s = 0; s < squares(); ++s) {
          if (w.first_run[s] == w.first_run[s + 1]) continue;
          Vec<T> square[kLanes<T>];
          const T* const from = weight + v * kLanes<T> * problem.packed + start(s);
          if (v + 1 < end)
            prefetch_lanes<false>(from + kLanes<T> * problem.packed, rows(v + 1, problem.packed), width());
          load_packed(from, lanes, square);
          for (int64_t r = w.first_run[s]; r < w.first_run[s + 1]; ++r) {
            const Run run = w.runs[r];
            const T share = w.taps[run.begin].share;
            for (int64_t i = run.begin; i < run.end; ++i)
              lattice[w.taps[i].lattice] += square[i - start(s)] * share;
          }
        }
        store_lanes(taps + v * kLanes<T> * problem.lattice, rows(v, problem.lattice), problem.lattice, lattice);
      }
    });
  }

  // The adjoints: of the weights, of the mixture, or both of them in one pass. What is not asked for is null.
  void mix_grads(const T* gradient, const T* weight, const T* mixture, T* of_weight, T* of_mixture, void* buffer,
                 const Workers& workers) const {
    const Workspace w = prepared(mixture, buffer, workers);
    if (of_weight && of_mixture)
      adjoints<true, true>(w, gradient, weight, of_weight, workers);
    else if (of_weight)
      adjoints<true, false>(w, gradient, weight, of_weight, workers);
    else
      adjoints<false, true>(w, gradient, weight, of_weight, workers);
    if (of_mixture) total(w, pieces(workers.count), of_mixture);
  }

  template <bool kWeight, bool kMixture>
  void adjoints(const Workspace& w, const T* gradient, const T* weight, T* of_weight, const Workers& workers) const {
    for_rows(w, workers, [&](int64_t worker, int64_t piece, int64_t begin, int64_t end, Vec<T>* lattice) {
      Vec<T>* const scores = w.scores + piece * problem.candidates;
      Vec<T>* const of_rows = w.of_rows + worker * problem.candidates;
      for (int64_t m = 0; m < problem.candidates; ++m)
        scores[m] = of_rows[m] = Vec<T>{};
      for (int64_t v = begin; v < end; ++v) {
        load_lanes(gradient + v * kLanes<T> * problem.lattice, rows(v, problem.lattice), problem.lattice, lattice);
        const Lanes<T> lanes = rows(v, problem.packed);
        for (int64_t s = 0; s < squares(); ++s) {
          const int64_t first = v * kLanes<T> * problem.packed + start(s);
          if (kMixture && w.first_run[s] < w.first_run[s + 1]) {
            Vec<T> square[kLanes<T>];
            if (v + 1 < end)
              prefetch_lanes<false>(weight + first + kLanes<T> * problem.packed, rows(v + 1, problem.packed), width());
            load_packed(weight + first, lanes, square);
            for (int64_t r = w.first_run[s]; r < w.first_run[s + 1]; ++r) {
              const Run run = w.runs[r];
              Vec<T> sum{};
              for (int64_t i = run.begin; i < run.end; ++i)
                sum += square[i - start(s)] * lattice[w.taps[i].lattice];
              of_rows[run.candidate] += sum;
            }
          }
          if (kWeight && v + 1 < end)
            prefetch_lanes<true>(of_weight + first + kLanes<T> * problem.packed, rows(v + 1, problem.packed), width());
          if (kWeight) store_gathered(w.taps + start(s), lattice, lanes, of_weight + first);
        }
        if (kMixture) add_up(of_rows, scores);
      }
    });
  }

  // Sums of sums: taps of a run, runs of some rows, rows. Rounding hardly grows with their number.
  void add_up(Vec<T>* of_rows, Vec<T>* scores) const {
    for (int64_t m = 0; m < problem.candidates; ++m) {
      scores[m] += of_rows[m];
      of_rows[m] = Vec<T>{};
    }
  }
  void total(const Workspace& w, int64_t count, T* of_mixture) const {
    for (int64_t m = 0; m < problem.candidates; ++m) {
      double sum = 0;
      for (int64_t piece = 0; piece < count; ++piece)
        for (int l = 0; l < kLanes<T>; ++l)
          sum += w.scores[piece * problem.candidates + m][l];
      of_mixture[m] = static_cast<T>(sum);
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
