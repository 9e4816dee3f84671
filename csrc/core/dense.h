// SPDX-License-Identifier: BSD-3-Clause
// Convolutions that sum over channels (dense, or a few groups). Three steps: transform rows of the input; then, a run
// of row frequencies at a time, transform columns, multiply over channels, transform back; then invert rows.
#pragma once
#include "dense_tiles.h"

namespace dash {
namespace DASH_ISA {

// The forward convolution and its input gradient are one algorithm with the roles of the two sides exchanged.
template <class T>
struct DenseTransfer : DenseTiles<T> {
  using Base = DenseTiles<T>;
  using Base::aliases, Base::all_weights, Base::depth, Base::depth_block, Base::forward, Base::from, Base::from_height,
      Base::full_rows, Base::load_weights, Base::make_workspace, Base::maps_tile, Base::problem, Base::product_column,
      Base::sample_step, Base::run_units, Base::tiles, Base::tiles_of, Base::to, Base::transform_maps,
      Base::transform_weights, Base::unit_of, Base::weight_groups, Base::weights_tile, Base::width;
  using typename Base::Worker, typename Base::Workspace;

  DenseTransfer(const ConvProblem& p, const TapList& t, bool is_forward, MapLanes lanes = MapLanes::cheaper)
      : Base(p, t, is_forward, lanes) {}

  Product<T> product_of(const Worker& worker, const Unit& unit) const {
    Product<T> product{};
    product.q_offset = worker.q_offset;
    product.n = to.series ? unit.count : full_rows.n;
    product.p_period = product.q_period = product.n;
    product.out = worker.product;
    product.out_stride = product_column();
    product.reversed = !to.series;
    return product;
  }
  void keep(const Workspace& w, const Worker& worker, const Unit& unit, int64_t tile, const Cx<T>* product,
            int64_t vector) const {
    if (to.series)
      to.keep_series(product, unit, w.to_spectrum, vector);
    else
      to.invert_column(product, full_rows.n / to.rows->n, w.to_spectrum, vector, unit.frequency[tile], worker.buffer);
  }
  // Lanes are samples: kLanes samples of `from`, all channels, times the weights of kLanes channels of `to`.
  void multiply_samples(const Workspace& w, const Worker& worker, const Run& run, int64_t tile, int64_t samples,
                        int64_t maps_at, int64_t group, int64_t weights_at) const {
    const Unit& unit = unit_of(run, tile);
    Product<T> product = product_of(worker, unit);
    const Tile maps = maps_tile(), weights = weights_tile();
    product.p = worker.vectors + maps_at * maps.size;
    product.p_row = maps.row;
    product.p_member = maps.member;
    product.p_period = smaller(product.n, from_height);
    product.q = worker.factors + (weights_at * tiles + tile) * weights.size;
    product.q_row = weights.row;
    product.depth = aliases * depth;
    const int64_t channel = group * kLanes<T>, count = smaller(kLanes<T>, width - channel);
    for (int64_t j0 = 0; j0 < count; j0 += kBlock) {
      const int64_t block = smaller(kBlock, count - j0);
      int64_t j_offset[kBlock];
      for (int64_t j = 0; j < block; ++j)
        j_offset[j] = j0 + j;
      contract(product, block, j_offset);
      for (int64_t j = 0; j < block; ++j)
        keep(w, worker, unit, tile, worker.product + j * product_column(), to.vector_of(samples, channel + j0 + j));
    }
  }
  void run_by_samples(const Workspace& w, Worker& worker, const Run& run) const {
    const int64_t step = sample_step(run);  // groups of samples stand in pairs too
    const auto maps = [&](int64_t tile, int64_t samples, int64_t at) {
      transform_maps(w, worker, run, tile, from.vector_of(samples, 0), depth, at);
    };
    if (all_weights) {
      for (int64_t group = 0; group < weight_groups(); ++group)
        transform_weights(w, worker, run, group, 0, depth, group);
      for (int64_t tile = 0; tile < tiles_of(run); ++tile) {
        for (int64_t samples = 0; samples < from.groups(); samples += step) {
          maps(tile, samples, 0);
          for (int64_t group = 0; group < weight_groups(); ++group)
            multiply_samples(w, worker, run, tile, samples, 0, group, group);
        }
      }
      return;
    }
    for (int64_t tile = 0; tile < tiles_of(run); ++tile)
      for (int64_t samples = 0; samples < from.groups(); samples += step)
        maps(tile, samples, tile * from.groups() + samples);
    for (int64_t group = 0; group < weight_groups(); ++group) {
      transform_weights(w, worker, run, group, 0, depth, 0);
      for (int64_t tile = 0; tile < tiles_of(run); ++tile)
        for (int64_t samples = 0; samples < from.groups(); samples += step)
          multiply_samples(w, worker, run, tile, samples, tile * from.groups() + samples, group, 0);
    }
  }

  // Lanes are channels of `to`: the columns of all samples, then weights of depth_block channels of `from` at a time.
  void transform_samples(const Workspace& w, const Worker& worker, const Run& run) const {
    for (int64_t tile = 0; tile < tiles_of(run); ++tile)
      transform_maps(w, worker, run, tile, 0, from.vectors(), tile);
  }
  void multiply_channels(const Workspace& w, Worker& worker, const Run& run) const {
    const int64_t step = sample_step(run);
    const Tile maps = maps_tile(), weights = weights_tile();
    for (int64_t group = 0; group < weight_groups(); ++group) {
      for (int64_t k0 = 0; k0 < depth; k0 += depth_block) {
        const int64_t count = smaller(depth_block, depth - k0);
        transform_weights(w, worker, run, group, k0, count, 0);
        for (int64_t alias = 0; alias < aliases; ++alias)
          for (int64_t k = 0; k < count; ++k)
            worker.q_offset[alias * count + k] =
                alias * from.vectors() * maps.member * kFactorScalars<T> + from.scalar_in(maps, 0, k0 + k);
        for (int64_t tile = 0; tile < tiles_of(run); ++tile) {
          Product<T> product = product_of(worker, unit_of(run, tile));
          product.p = worker.vectors + tile * weights.size;
          product.p_row = weights.row;
          product.p_member = weights.member;
          product.q = worker.factors + tile * maps.size;
          product.q_row = maps.row;
          product.q_period = smaller(product.n, from_height);
          product.depth = aliases * count;
          product.accumulate = k0 > 0;
          product.out_stride = step * product_column();
          for (int64_t b = 0; b < to.batch; b += kBlock * step) {
            const int64_t block = smaller(kBlock, ceil_div(to.batch - b, step));
            int64_t j_offset[kBlock];
            for (int64_t j = 0; j < block; ++j)
              j_offset[j] = from.scalar_in(maps, b + j * step, 0);
            product.out = worker.product + (tile * to.batch + b) * product_column();
            contract(product, block, j_offset);
          }
        }
      }
      for (int64_t tile = 0; tile < tiles_of(run); ++tile)
        for (int64_t b = 0; b < to.batch; b += step)
          keep(w, worker, unit_of(run, tile), tile, worker.product + (tile * to.batch + b) * product_column(),
               to.vector_of(group, b));
    }
  }

  void prepare(Workspace& w, int64_t workers) const {
    from.fill(w.from_places, false);
    to.fill(w.to_places, true);
    for (int64_t i = 0; i < workers; ++i) {
      for (int64_t k = 0; to.lanes_are_batch && k < aliases * depth; ++k)
        w.workers[i].q_offset[k] = k * weights_tile().member * kFactorScalars<T>;
      w.workers[i].tap_column.prepare(forward ? 1 : -1);
    }
  }

  void treat(const Workspace& w, Worker& worker, const Run& run) const {
    if (to.lanes_are_batch) return run_by_samples(w, worker, run);
    transform_samples(w, worker, run);
    multiply_channels(w, worker, run);
  }

  int64_t weights_of_group() const { return depth * width * problem.num_taps; }

  // Plus a number per channel of the result, if there is one.
  void run(const T* source, const T* weight, const T* plus, T* result, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    Workspace w = make_workspace(arena, workers.count);
    prepare(w, workers.count);
    for (int64_t group = 0; group < problem.groups; ++group) {
      from.transform_rows(source + group * depth * from.map, T(1), w.from_places, w.from_spectrum, w.row_scratch,
                          nullptr, workers);
      load_weights(weight + group * weights_of_group(), w, workers);
      parallel_shares(workers, ceil_div(to.units(), run_units), [&](int64_t worker, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          treat(w, w.workers[worker], to.run(i * run_units, run_units));
      });
      to.invert_rows(w.to_spectrum, w.to_places, plus ? plus + group * width : nullptr, result + group * width * to.map,
                     w.row_scratch, workers);
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
