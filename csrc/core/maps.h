// SPDX-License-Identifier: BSD-3-Clause
// A batch of feature maps and its half spectra. kLanes maps share a vector: either the same channel of neighbouring
// samples or neighbouring channels of one sample, whichever wastes fewer lanes.
#pragma once
#include "plan.h"
#include "rows.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct Maps {
  int64_t batch, channels;  // of one group
  int64_t sample, map;      // elements from one sample, one map to the next
  int64_t size[2];          // rows, width
  const LengthPlan<T>*
      rows;  // transform lengths of this side: the strided side of a strided convolution has the shorter ones
  const LengthPlan<T>* cols;
  bool lanes_are_batch;

  int64_t groups() const { return ceil_div(lanes_are_batch ? batch : channels, kLanes<T>); }
  int64_t members() const { return lanes_are_batch ? channels : batch; }
  int64_t vectors() const { return groups() * members(); }
  int64_t frequencies() const { return cols->n / 2 + 1; }
  // A map's columns stand together. A series has one number per column: there the same frequencies of all series do.
  Columns columns() const {
    const int64_t column = size[0] == 1 ? 1 : column_stride(size[0]);
    return {column, Columns::kNear * column * (size[0] == 1 ? vectors() : 1)};
  }
  int64_t first_column(int64_t vector) const {
    return vector * (size[0] == 1 ? Columns::kNear : frequencies() * columns().column);
  }
  int64_t spectrum_size() const {
    return vectors() *
           (size[0] == 1 ? ceil_div(frequencies(), Columns::kNear) * Columns::kNear : frequencies() * columns().column);
  }
  int64_t scratch() const { return rows_scratch(size[0], size[1], cols->n); }

  // Columns in the product stand one transform apart, an odd number of vectors.
  int64_t product_column() const { return column_stride(rows->n); }
  int64_t vector_of(int64_t group, int64_t member) const { return group * members() + member; }

  Lanes<T> lanes(int64_t group) const {
    const int64_t stride = lanes_are_batch ? sample : map, all = lanes_are_batch ? batch : channels;
    return Lanes<T>::strided(stride, all - group * kLanes<T>);
  }
  int64_t origin(int64_t group, int64_t member) const {
    return lanes_are_batch ? group * kLanes<T> * sample + member * map : group * kLanes<T> * map + member * sample;
  }

  // spectrum[vector][f][y]: doubled half spectra along rows of every map.
  void transform_rows(const T* data, Cx<T>* spectrum, Cx<T>* scratch_of_workers, const Workers& workers) const {
    parallel_pieces(workers, vectors(), [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t v = begin; v < end; ++v)
        rows_forward(*cols, data + origin(v / members(), v % members()), lanes(v / members()), size[0], size[1],
                     spectrum + first_column(v), columns(), scratch_of_workers + worker * scratch());
    });
  }
  void invert_rows(const Cx<T>* spectrum, T* data, T scale, Cx<T>* scratch_of_workers, const Workers& workers) const {
    parallel_pieces(workers, vectors(), [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t v = begin; v < end; ++v)
        rows_inverse(*cols, spectrum + first_column(v), columns(), data + origin(v / members(), v % members()),
                     lanes(v / members()), size[0], size[1], scale, scratch_of_workers + worker * scratch());
    });
  }

  // store(y, two-dimensional spectrum of one vector at row frequency f and column frequency y). f may be any frequency
  // of the full-length transform: the spectrum repeats, and its upper half is the mirrored conjugate.
  template <class Store>
  DASH_INLINE void transform_column(const Cx<T>* spectrum, int64_t vector, int64_t f, const Store& store,
                                    Cx<T>* buffer) const {
    f %= cols->n;
    const bool mirrored = f > cols->n / 2;
    const Cx<T>* in = spectrum + first_column(vector) + columns().at(mirrored ? cols->n - f : f);
    const int64_t count = size[0];
    const Cx<T> zero{Vec<T>{}, Vec<T>{}};
    if (mirrored)
      fft(rows->complex, count, rows->n, [=](int64_t y) { return y < count ? conjugate(in[y]) : zero; }, store, buffer);
    else
      fft(rows->complex, count, rows->n, [=](int64_t y) { return y < count ? in[y] : zero; }, store, buffer);
  }

  // The inverse along a column: `product` holds `folds` stretches of rows->n values that alias onto one another.
  DASH_INLINE void invert_column(const Cx<T>* product, int64_t folds, Cx<T>* spectrum, int64_t vector, int64_t f,
                                 Cx<T>* buffer) const {
    Cx<T>* out = spectrum + first_column(vector) + columns().at(f);
    const int64_t count = size[0], n = rows->n;
    const auto folded = [=](int64_t y) {
      Cx<T> sum = product[y];
      for (int64_t fold = 1; fold < folds; ++fold)
        sum = sum + product[y + fold * n];
      return swapped(sum);
    };
    const auto keep = [=](int64_t y, Cx<T> v) {
      if (y < count) out[y] = swapped(v);
    };
    fft(rows->complex, n, count, folded, keep, buffer);
  }
};

}  // namespace DASH_ISA
}  // namespace dash
