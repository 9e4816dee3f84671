// SPDX-License-Identifier: BSD-3-Clause
// The two sides of a weight gradient at the row frequencies of one run, and their products over the batch: those of
// input channel c and output channel o sum to the spectrum of their weights' gradient.
#pragma once
#include "contract.h"
#include "correlate.h"
#include "sides.h"
#include "taps.h"

namespace dash {
namespace DASH_ISA {

// What lanes of the gradient are, and of which side the product P (contract.h) therefore has vectors:
// - output channels, P of the output's gradient, and the input's columns are made factors;
// - input channels, P of the input, where the input's gradient has made factors of the columns of the output's
// gradient;
// - output channels too, but the lanes of both sides are samples (correlate.h).
enum class WeightLanes { output_channels, input_channels, samples };

template <class T>
struct WeightSides {
  const ConvProblem& problem;
  const WeightLanes lanes;
  Maps<T> of_vectors, of_factors;
  const LengthPlan<T>&full_rows, &full_cols;
  int64_t batch, width;  // width: channels of `of_factors`
  int64_t groups;        // of kLanes channels of `of_vectors`
  int64_t height;        // rows of the product, as in DenseTiles
  // Units that are treated together, with a tile each; of a map's two frequencies one after the other.
  int64_t run_units;

  WeightSides(const ConvProblem& p, const TapList& t, WeightLanes how)
      : problem(p), lanes(how), of_vectors(side_maps<T>(p, !given())), of_factors(side_maps<T>(p, given())),
        full_rows(length_plan<T>(p.length[0])), full_cols(length_plan<T>(p.length[1])), batch(p.batch),
        width(of_factors.channels), groups(ceil_div(of_vectors.channels, kLanes<T>)),
        height(of_vectors.series ? 2 * Unit::kSeriesPairs : full_rows.n), run_units(units_per_run<T>(p, t)) {
    of_vectors.lanes_are_batch = by_samples();
    of_factors.lanes_are_batch = by_samples() || (!given() && is_narrow(batch, width));
  }
  // Whether the channels of a side take fewer vectors with lanes across samples.
  static bool is_narrow(int64_t batch, int64_t channels) {
    return Maps<T>::batch_groups(batch) * channels < ceil_div(channels, kLanes<T>) * batch;
  }

  // What its transforms and products cost, in the unit of LaneCosts; a given side is not counted. Of series, columns
  // need no transform.
  static constexpr int64_t kRows = LaneCosts<T>::kTransform / 2;
  static int64_t cost(const ConvProblem& p, WeightLanes how) {
    constexpr int64_t kSumLanes = 6;  // of two vectors, a lane
    const int64_t in = p.in_channels / p.groups, out = p.out_channels / p.groups, batch = p.batch;
    const int64_t in_groups = ceil_div(in, kLanes<T>), out_groups = ceil_div(out, kLanes<T>);
    const int64_t samples = Maps<T>::batch_groups(batch), transform = p.length[0] == 1 ? kRows : 2 * kRows;
    switch (how) {
      case WeightLanes::input_channels:
        return batch * in_groups * (transform + out);
      case WeightLanes::output_channels:
        return batch * out_groups * (transform + in) + smaller(samples * in, batch * in_groups) * transform;
      default:
        return samples * (in + out) * transform + (4 * samples * out + kSumLanes * kLanes<T> * out_groups) * in / 3;
    }
  }
  // Where nothing is given.
  static WeightLanes cheaper(const ConvProblem& p) {
    return cost(p, WeightLanes::samples) < cost(p, WeightLanes::output_channels) ? WeightLanes::samples
                                                                                 : WeightLanes::output_channels;
  }

  bool given() const { return lanes == WeightLanes::input_channels; }  // the factors are
  bool by_samples() const { return lanes == WeightLanes::samples; }
  const Maps<T>& in() const { return given() ? of_vectors : of_factors; }
  const Maps<T>& out() const { return given() ? of_factors : of_vectors; }
  bool paired() const { return of_vectors.paired() && of_factors.paired(); }

  int64_t height_of(const Maps<T>& maps) const { return maps.series ? height : maps.rows->n; }
  // Vectors of a tile: those of a group of channels, or all where lanes are samples.
  int64_t members() const { return by_samples() ? of_vectors.vectors() : batch; }
  Tile vectors_tile() const { return Tile::of(members(), height_of(of_vectors), of_vectors.series); }
  Tile factors_tile() const { return Tile::of(of_factors.vectors(), height_of(of_factors), of_factors.series); }
  int64_t vectors_size() const { return run_units * of_vectors.vectors() / members() * vectors_tile().size; }
  int64_t product_column() const { return odd_stride(height); }

  struct Columns {
    Cx<T>*vectors, *product, *buffer;
    Factor<T>* factors;  // [tile]; if given, of both frequencies of a map's pair
    Cx<T>* others;       // what stands in their place where lanes are samples
  };
  struct Spectra {
    Cx<T>*vectors, *factors;
    int64_t *q_offset, *q_offset_of_firsts;  // of every sample, of every second one
  };

  // Both sides of one frequency of maps, or of all of a unit of series; if `firsts`, of every second sample.
  void transform_sides(const Spectra& spectra, const Columns& columns, const int64_t* f, int64_t count, bool firsts,
                       int64_t tile) const {
    const Tile vectors = vectors_tile(), factors = factors_tile();
    for (int64_t first = 0; first < of_vectors.vectors(); first += members()) {
      Cx<T>* const to = columns.vectors + (tile * of_vectors.vectors() + first) / members() * vectors.size;
      of_vectors.transform_tile(spectra.vectors, first, members(), f, count, firsts, vectors,
                                Output<T>::to_values(to, height_of(of_vectors), vectors.row), columns.buffer);
    }
    if (given()) return;
    const int64_t at = tile * factors.size, rows = height_of(of_factors);
    of_factors.transform_tile(spectra.factors, 0, of_factors.vectors(), f, count, firsts, factors,
                              by_samples() ? Output<T>::to_values(columns.others + at, rows, factors.row)
                                           : Output<T>::to_factors(columns.factors + at, rows, factors.row),
                              columns.buffer);
  }

  // Products of a group of channels of `of_vectors` with a block of those of `of_factors` from j0 on; that of channel
  // j0 + j stands at product_of(columns, tile, j). Vectors are conjugated.
  void multiply(const Spectra& spectra, const Columns& columns, int64_t count, bool firsts, int64_t tile,
                int64_t factors_at, int64_t group, int64_t j0, int64_t block) const {
    const Tile vectors = vectors_tile(), factors = factors_tile();
    Product<T> product{};
    product.p_row = vectors.row;
    product.q_row = factors.row;
    product.n = of_vectors.series ? count : full_rows.n;
    product.p_period = smaller(product.n, height_of(of_vectors));
    product.q_period = smaller(product.n, height_of(of_factors));
    product.out = product_of(columns, tile, 0);
    product.out_stride = product_column();
    if (by_samples()) return multiply_samples(columns, product, firsts, tile, group, j0, block);
    product.p = columns.vectors + (tile * groups + group) * vectors.size;
    product.p_member = vectors.member * (firsts ? 2 : 1);
    product.q = columns.factors + factors_at * factors.size;
    product.q_offset = firsts ? spectra.q_offset_of_firsts : spectra.q_offset;
    product.depth = firsts ? batch / 2 : batch;
    int64_t j_offset[kBlock];
    for (int64_t j = 0; j < block; ++j)
      j_offset[j] = of_factors.scalar_in(factors, 0, j0 + j);
    contract<true>(product, block, j_offset);
  }
  void multiply_samples(const Columns& columns, const Product<T>& product, bool firsts, int64_t tile, int64_t group,
                        int64_t j0, int64_t block) const {
    const Tile vectors = vectors_tile(), others = factors_tile();
    const int64_t step = firsts ? 2 : 1, channel = group * kLanes<T>, p_member = vectors.member,
                  q_member = others.member;
    for (int64_t y = 0; y < product.n; ++y) {
      const Cx<T>* const p = columns.vectors + tile * vectors.size + y % product.p_period * product.p_row;
      const Cx<T>* const q = columns.others + tile * others.size + y % product.q_period * product.q_row;
      correlate<T>({p + channel * p_member, step * of_vectors.channels * p_member, p_member},
                   smaller(kLanes<T>, of_vectors.channels - channel),
                   {q + j0 * q_member, step * width * q_member, q_member}, block, of_vectors.groups() / step,
                   product.out + y, product.out_stride);
    }
  }
  Cx<T>* product_of(const Columns& columns, int64_t tile, int64_t j) const {
    return columns.product + (tile * kBlock + j) * product_column();
  }
};

}  // namespace DASH_ISA
}  // namespace dash
