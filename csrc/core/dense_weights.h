// SPDX-License-Identifier: BSD-3-Clause
// The weight gradient of a convolution that sums over channels: one row frequency at a time, the product of both sides'
// columns is summed over the batch, and only the taps of its inverse transform are kept.
#pragma once
#include "dense.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct DenseWeightGrad {
  const ConvProblem& problem;
  const TapList& taps;
  Maps<T> out, in;  // lanes of `out` are output channels
  const LengthPlan<T>&full_rows, &full_cols;
  int64_t batch, width, tap_vectors;

  DenseWeightGrad(const ConvProblem& p, const TapList& t)
      : problem(p), taps(t), out(input_maps<T>(p, true)), in(input_maps<T>(p, false)),
        full_rows(length_plan<T>(p.length[0])), full_cols(length_plan<T>(p.length[1])), batch(p.batch),
        width(in.channels), tap_vectors(0) {
    out.lanes_are_batch = false;
    in.lanes_are_batch = ceil_div(batch, kLanes<T>) * width < ceil_div(width, kLanes<T>) * batch;
    tap_vectors = out.groups() * width * taps.count();
  }

  struct Worker {
    Cx<T>*out_columns, *product, *buffer;
    Factor<T>* in_columns;
    // [group of output channels][input channel][tap]: the sum so far, and that of the latest frequencies
    Vec<T>*gradient, *partial;
    TapColumn<T> tap_column;
  };
  struct Workspace {
    Cx<T>*out_spectrum, *in_spectrum, *row_scratch;
    int64_t *p_offset, *q_offset;
    Vec<T>* tap_rows;
    Worker* workers;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Workspace w;
    w.out_spectrum = arena.take<Cx<T>>(out.spectrum_size());
    w.in_spectrum = arena.take<Cx<T>>(in.spectrum_size());
    w.row_scratch = arena.take<Cx<T>>(count * larger(out.scratch(), in.scratch()));
    w.p_offset = arena.take<int64_t>(batch);
    w.q_offset = arena.take<int64_t>(batch);
    w.tap_rows = arena.take<Vec<T>>(count * problem.num_taps);
    w.workers = arena.take<Worker>(count);
    for (int64_t i = 0; i < count; ++i) {
      Worker worker{};
      worker.out_columns = arena.take<Cx<T>>(out.vectors() * out.product_column());
      worker.in_columns = arena.take<Factor<T>>(in.vectors() * in.product_column());
      worker.product = arena.take<Cx<T>>(kBlock * column_stride(full_rows.n));
      worker.buffer = arena.take<Cx<T>>(2 * full_rows.n);
      worker.gradient = arena.take<Vec<T>>(tap_vectors);
      worker.partial = arena.take<Vec<T>>(tap_vectors);
      worker.tap_column = TapColumn<T>::make(taps, full_rows, full_cols, arena);
      if (w.workers) w.workers[i] = worker;
    }
    return w;
  }

  template <class Store>
  static void transform_columns(const Maps<T>& maps, const Cx<T>* spectrum, int64_t f, const Store& store,
                                Cx<T>* buffer) {
    for (int64_t v = 0; v < maps.vectors(); ++v) {
      const int64_t at = v * maps.product_column();
      maps.transform_column(spectrum, v, f, [=](int64_t y, Cx<T> value) { store(at + y, value); }, buffer);
    }
  }

  // Where the scalar of (sample, input channel) stands.
  int64_t scalar_at(int64_t b, int64_t c) const {
    return in.lanes_are_batch ? factor_offset<T>(b, c, in.members(), in.product_column())
                              : factor_offset<T>(c, b, in.members(), in.product_column());
  }

  void multiply(const Workspace& w, Worker& worker, int64_t f) const {
    const int64_t column = column_stride(full_rows.n);
    Cx<T>* const vectors = worker.out_columns;
    Factor<T>* const factors = worker.in_columns;
    transform_columns(out, w.out_spectrum, f, [=](int64_t at, Cx<T> value) { vectors[at] = value; }, worker.buffer);
    transform_columns(
        in, w.in_spectrum, f, [=](int64_t at, Cx<T> value) { factors[at] = factor(conjugate(value)); }, worker.buffer);
    worker.tap_column.set_frequency(f, -1);
    const T weight = f == 0 || 2 * f == full_cols.n ? T(1) : T(2);  // the half spectrum stands for both halves
    for (int64_t group = 0; group < out.groups(); ++group) {
      const Product<T> product{vectors + out.vector_of(group, 0) * out.product_column(),
                               w.p_offset,
                               factors,
                               w.q_offset,
                               batch,
                               out.rows->n,
                               in.rows->n,
                               full_rows.n,
                               worker.product,
                               column};
      for (int64_t j0 = 0; j0 < width; j0 += kBlock) {
        const int64_t block = smaller(kBlock, width - j0);
        int64_t j_offset[kBlock];
        for (int64_t j = 0; j < block; ++j)
          j_offset[j] = scalar_at(0, j0 + j);
        contract(product, block, j_offset);
        for (int64_t j = 0; j < block; ++j) {
          const Cx<T>* sums = worker.product + j * column;
          worker.tap_column.accumulate([sums](int64_t y) { return sums[y]; }, weight,
                                       worker.partial + (group * width + j0 + j) * taps.count());
        }
      }
    }
  }

  void store_gradient(const Workspace& w, int64_t pieces, T* result, const Workers& workers) const {
    const T scale = static_cast<T>(1.0 / (4.0 * static_cast<double>(full_rows.n) * static_cast<double>(full_cols.n)));
    parallel_pieces(workers, out.groups() * width, [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Vec<T>* sum = w.workers[0].gradient + i * taps.count();
        for (int64_t other = 1; other < pieces; ++other) {
          const Vec<T>* more = w.workers[other].gradient + i * taps.count();
          for (int64_t t = 0; t < taps.count(); ++t)
            sum[t] += more[t];
        }
        const int64_t o = i / width * kLanes<T>, c = i % width;
        store_taps(taps, problem.num_taps, sum, scale, result + (o * width + c) * problem.num_taps,
                   Lanes<T>::strided(width * problem.num_taps, out.channels - o),
                   w.tap_rows + worker * problem.num_taps);
      }
    });
  }

  void run(const T* out_gradient, const T* input, T* result, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    for (int64_t b = 0; b < batch; ++b) {
      w.p_offset[b] = b * out.product_column();
      w.q_offset[b] = scalar_at(b, 0);
    }
    const int64_t frequencies = full_cols.n / 2 + 1, block = carry_after(frequencies),
                  pieces = larger(1, smaller(workers.count, frequencies));
    for (int64_t i = 0; i < pieces; ++i)
      w.workers[i].tap_column.prepare(-1);
    for (int64_t group = 0; group < problem.groups; ++group) {
      out.transform_rows(out_gradient + group * out.channels * out.map, w.out_spectrum, w.row_scratch, workers);
      in.transform_rows(input + group * width * in.map, w.in_spectrum, w.row_scratch, workers);
      parallel_pieces(workers, frequencies, [&](int64_t worker, int64_t begin, int64_t end) {
        Worker& own = w.workers[worker];
        for (int64_t t = 0; t < tap_vectors; ++t)
          own.gradient[t] = own.partial[t] = Vec<T>{};
        for (int64_t f = begin; f < end; ++f) {
          multiply(w, own, f);
          if ((f - begin) % block == block - 1) carry<T>(own.partial, tap_vectors, own.gradient);
        }
        carry<T>(own.partial, tap_vectors, own.gradient);
      });
      store_gradient(w, pieces, result + group * out.channels * width * problem.num_taps, workers);
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
