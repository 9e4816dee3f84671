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

// How the products are computed:
// - inputs: lanes are output channels, and the input's columns are made factors (contract.h);
// - given_outputs: lanes are input channels, and the columns of the output's gradient are factors that are there;
// - samples: lanes of both sides are samples, and are summed to lanes of output channels (correlate.h).
enum class WeightFactors { inputs, given_outputs, samples };

template <class T>
struct WeightSides {
  const ConvProblem& problem;
  const WeightFactors form;
  Maps<T> of_vectors, of_factors;
  const LengthPlan<T>&full_rows, &full_cols;
  int64_t batch, width;  // width: channels of `of_factors`
  int64_t lane_groups;   // of kLanes channels of `of_vectors`
  int64_t height;        // rows of the product, as in DenseTiles
  // Units that are treated together, with a tile each; of a map's two frequencies one after the other.
  int64_t run_units;

  WeightSides(const ConvProblem& p, const TapList& t, WeightFactors how)
      : problem(p), form(how), of_vectors(side_maps<T>(p, !given())), of_factors(side_maps<T>(p, given())),
        full_rows(length_plan<T>(p.length[0])), full_cols(length_plan<T>(p.length[1])), batch(p.batch),
        width(of_factors.channels), lane_groups(ceil_div(of_vectors.channels, kLanes<T>)),
        height(of_vectors.series ? 2 * Unit::kSeriesPairs : full_rows.n), run_units(units_per_run<T>(p, t)) {
    of_vectors.lanes_are_batch = by_samples();
    of_factors.lanes_are_batch = by_samples() || (!given() && is_narrow<T>(batch, width, p.in_maps));
  }

  // What its transforms and products cost, in the unit of LaneCosts; a given side is not counted. Of series, columns
  // need no transform.
  static constexpr int64_t kRows = kTransform / 2;
  static int64_t cost(const ConvProblem& p, WeightFactors how) {
    constexpr int64_t kSumLanes = 6;  // summing two vectors takes three operations each, a lane (sum_lanes)
    const int64_t in = p.in_channels / p.groups, out = p.out_channels / p.groups, batch = p.batch;
    const int64_t in_groups = ceil_div(in, kLanes<T>), out_groups = ceil_div(out, kLanes<T>);
    const int64_t samples = Maps<T>::batch_groups(batch), transform = p.length[0] == 1 ? kRows : 2 * kRows;
    const auto samples_of = [=](int64_t channels, const MapStrides& maps) {
      return samples * channels * (transform - kTransform + samples_cost(channels, maps));
    };
    switch (how) {  // a complex product of a vector with a factor is three multiply-adds, one of two vectors four
      case WeightFactors::given_outputs:
        return batch * in_groups * (transform + out);
      case WeightFactors::inputs:
        return batch * out_groups * (transform + in) +
               (is_narrow<T>(batch, in, p.in_maps) ? samples_of(in, p.in_maps) : batch * in_groups * transform);
      default:
        return samples_of(in, p.in_maps) + samples_of(out, p.out_maps) +
               (4 * samples * out + kSumLanes * kLanes<T> * out_groups) * in / 3;
    }
  }
  // Where nothing is given.
  static WeightFactors cheaper(const ConvProblem& p) {
    return cost(p, WeightFactors::samples) < cost(p, WeightFactors::inputs) ? WeightFactors::samples
                                                                            : WeightFactors::inputs;
  }

  bool given() const { return form == WeightFactors::given_outputs; }  // the factors are
  bool by_samples() const { return form == WeightFactors::samples; }
  const Maps<T>& in() const { return given() ? of_vectors : of_factors; }
  const Maps<T>& out() const { return given() ? of_factors : of_vectors; }
  // Whether the first sample of each pair will do at row frequency f of the unstrided side.
  bool firsts_at(int64_t f) const { return of_vectors.paired() && in().mirrors_itself(f); }

  int64_t height_of(const Maps<T>& maps) const { return maps.series ? height : maps.rows->n; }
  // Vectors of a tile: those of a group of channels, or all where lanes are samples.
  int64_t members() const { return by_samples() ? of_vectors.vectors() : batch; }
  Tile vectors_tile() const { return Tile::of(members(), height_of(of_vectors), of_vectors.series); }
  Tile factors_tile() const { return Tile::of(of_factors.vectors(), height_of(of_factors), of_factors.series); }
  int64_t vectors_size() const { return run_units * of_vectors.vectors() / members() * vectors_tile().size; }
  int64_t product_column() const { return odd_stride(height); }

  struct SideTiles {
    Cx<T>* vectors;      // [tile][lane group], or [tile] where lanes are samples
    Factor<T>* factors;  // [tile]; if given, of both frequencies of a map's pair
    Cx<T>* others;       // [tile]: in place of factors where lanes are samples
    Cx<T>*product, *buffer;
  };
  struct Spectra {
    Cx<T>*vectors, *factors;
    int64_t *q_offset, *q_offset_of_firsts;  // of every sample, of every second one
  };

  // Both sides of one frequency of maps, or of all of a unit of series; if `firsts`, of every second sample.
  void transform_sides(const Spectra& spectra, const SideTiles& tiles, const int64_t* f, int64_t count, bool firsts,
                       int64_t tile) const {
    const Tile vectors = vectors_tile(), factors = factors_tile();
    for (int64_t first = 0; first < of_vectors.vectors(); first += members()) {
      Cx<T>* const to = tiles.vectors + (tile * of_vectors.vectors() + first) / members() * vectors.size;
      of_vectors.transform_tile(spectra.vectors, first, members(), f, count, firsts, vectors,
                                Output<T>::to_values(to, height_of(of_vectors), vectors.row), tiles.buffer);
    }
    if (given()) return;
    const int64_t at = tile * factors.size, rows = height_of(of_factors);
    of_factors.transform_tile(spectra.factors, 0, of_factors.vectors(), f, count, firsts, factors,
                              by_samples() ? Output<T>::to_values(tiles.others + at, rows, factors.row)
                                           : Output<T>::to_factors(tiles.factors + at, rows, factors.row),
                              tiles.buffer);
  }

  // Of one tile, a lane group times `count` channels of `of_factors` from `first` on, at `rows` frequencies of a column
  // or unit. Vectors are conjugated; the product of channel first + j stands at product_of(tiles, tile, j).
  struct Block {
    int64_t tile, factors_tile, lane_group, first, count, rows;
    bool firsts;  // of every second sample
  };
  void multiply(const Spectra& spectra, const SideTiles& tiles, const Block& block) const {
    if (by_samples())
      correlate_block(tiles, block);
    else
      contract_block(spectra, tiles, block);
  }
  void contract_block(const Spectra& spectra, const SideTiles& tiles, const Block& block) const {
    const Tile vectors = vectors_tile(), factors = factors_tile();
    Product<T> product{};
    product.p = tiles.vectors + (block.tile * lane_groups + block.lane_group) * vectors.size;
    product.p_row = vectors.row;
    product.p_member = vectors.member * (block.firsts ? 2 : 1);
    product.q = tiles.factors + block.factors_tile * factors.size;
    product.q_row = factors.row;
    product.q_offset = block.firsts ? spectra.q_offset_of_firsts : spectra.q_offset;
    product.depth = block.firsts ? batch / 2 : batch;
    product.n = block.rows;
    product.p_period = smaller(product.n, height_of(of_vectors));
    product.q_period = smaller(product.n, height_of(of_factors));
    product.out = product_of(tiles, block.tile, 0);
    product.out_stride = product_column();
    int64_t j_offset[kBlock];
    for (int64_t j = 0; j < block.count; ++j)
      j_offset[j] = of_factors.scalar_in(factors, 0, block.first + j);
    contract<true>(product, block.count, j_offset);
  }
  void correlate_block(const SideTiles& tiles, const Block& block) const {
    const Tile vectors = vectors_tile(), others = factors_tile();
    const int64_t step = block.firsts ? 2 : 1, channel = block.lane_group * kLanes<T>;
    const Cx<T>* const p = tiles.vectors + block.tile * vectors.size + channel * vectors.member;
    const Cx<T>* const q = tiles.others + block.tile * others.size + block.first * others.member;
    for (int64_t y = 0; y < block.rows; ++y) {
      const SampleVectors<T> from = {p + y % height_of(of_vectors) * vectors.row,
                                     step * of_vectors.channels * vectors.member, vectors.member};
      const SampleVectors<T> with = {q + y % height_of(of_factors) * others.row, step * width * others.member,
                                     others.member};
      correlate(from, smaller(kLanes<T>, of_vectors.channels - channel), with, block.count, of_vectors.groups() / step,
                product_of(tiles, block.tile, 0) + y, product_column());
    }
  }
  Cx<T>* product_of(const SideTiles& tiles, int64_t tile, int64_t j) const {
    return tiles.product + (tile * kBlock + j) * product_column();
  }
};

}  // namespace DASH_ISA
}  // namespace dash
