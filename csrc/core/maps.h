// SPDX-License-Identifier: BSD-3-Clause
// A batch of feature maps and its half spectra. kLanes maps share a vector: either the same channel of every other one
// of 2 kLanes samples or neighbouring channels of one sample, whichever wastes fewer lanes. Samples 2 i and 2 i + 1 go
// through the transforms along rows together (rows.h), so in spectra both stand for both.
#pragma once
#include "plan.h"
#include "rows.h"

namespace dash {
namespace DASH_ISA {

// How what one product takes stands together: rows are frequencies, members the vectors of one side. The columns of
// maps stay whole, as transforms write them; of series, the members of a frequency do, as the product reads them. Odd
// steps keep what is strided from falling into one cache set.
struct Tile {
  int64_t member, row, size;  // from one member, one row to the next

  static Tile of(int64_t members, int64_t rows, bool series) {
    if (series) return {1, odd_stride(members), rows * odd_stride(members)};
    return {odd_stride(rows), 1, members * odd_stride(rows)};
  }
};

template <class T>
struct Maps {
  int64_t batch, channels;     // of one group
  int64_t sample, map, pixel;  // elements from one sample, one map, one pixel to the next
  int64_t size[2];             // rows, width
  const LengthPlan<T>*
      rows;  // transform lengths of this side: the strided side of a strided convolution has the shorter ones
  const LengthPlan<T>* cols;
  bool lanes_are_batch;
  bool series;  // transforms along axis 1 only

  static constexpr int64_t batch_groups(int64_t batch) { return 2 * ceil_div(batch, 2 * kLanes<T>); }
  int64_t groups() const { return lanes_are_batch ? batch_groups(batch) : ceil_div(channels, kLanes<T>); }
  int64_t members() const { return lanes_are_batch ? channels : batch; }
  int64_t vectors() const { return groups() * members(); }
  int64_t half() const { return cols->n / 2; }
  PairOrder order() const { return series ? PairOrder::of_series(cols->n) : PairOrder::of_maps(cols->n); }
  int64_t units() const { return order().units(); }
  Unit unit(int64_t index) const { return order().unit(index); }
  Run run(int64_t first, int64_t most) const {
    Run run{smaller(most, units() - first), {}};
    for (int64_t i = 0; i < run.count; ++i)
      run.unit[i] = unit(first + i);
    return run;
  }

  // A map's columns stand together. A series has one number per column: there a unit of all series does.
  static constexpr int64_t kSeriesUnit = 2 * Unit::kSeriesPairs + 1;
  Columns columns() const {
    const int64_t column = odd_stride(size[0]);
    return series ? Columns{order(), 2, vectors() * kSeriesUnit, 1} : Columns{order(), 0, 2 * column, column};
  }
  int64_t first_column(int64_t vector) const { return vector * (series ? kSeriesUnit : units() * columns().block); }
  int64_t spectrum_size() const { return (series ? 1 : vectors()) * units() * columns().block; }
  // Bytes of the spectra if no lane were wasted.
  int64_t bytes() const { return batch * channels * size[0] * (half() + 1) * 2 * static_cast<int64_t>(sizeof(T)); }
  // Maps that go through the transforms along rows as one: where their lanes are samples and the channels of a pixel
  // stand together, those of all channels.
  int64_t bundle() const { return lanes_are_batch && pixel == channels ? channels : 1; }
  int64_t scratch() const { return rows_scratch(size[0], size[1], bundle(), cols->n); }
  int64_t vector_of(int64_t group, int64_t member) const { return group * members() + member; }

  Lanes<T> lanes(int64_t group) const {
    if (!lanes_are_batch) return Lanes<T>::strided(map, channels - group * kLanes<T>, pixel);
    return Lanes<T>::strided(2 * sample, ceil_div(batch - first_sample(group), 2), bundle() > 1 ? 1 : pixel);
  }
  int64_t first_sample(int64_t group) const { return group / 2 * 2 * kLanes<T> + group % 2; }
  int64_t origin(int64_t vector) const {
    const int64_t group = vector / members(), member = vector % members();
    return lanes_are_batch ? first_sample(group) * sample + member * map : group * kLanes<T> * map + member * sample;
  }

  // Where the scalar of one map stands in a tile of factors, whose members are all vectors.
  int64_t scalar_in(const Tile& tile, int64_t sample_index, int64_t channel) const {
    const int64_t group = lanes_are_batch ? sample_index / (2 * kLanes<T>)*2 + sample_index % 2 : channel / kLanes<T>;
    const int64_t lane = lanes_are_batch ? sample_index / 2 % kLanes<T> : channel % kLanes<T>;
    const int64_t member = lanes_are_batch ? channel : sample_index;
    return vector_of(group, member) * tile.member * kFactorScalars<T> + lane;
  }

  // The vector with the other samples of the pairs; itself where there are none.
  int64_t partner(int64_t vector) const {
    const int64_t group = vector / members(), member = vector % members();
    if (lanes_are_batch) return vector_of(group ^ 1, member);
    return vector_of(group, smaller(member ^ 1, batch - 1));
  }
  bool paired() const { return lanes_are_batch || batch % 2 == 0; }  // whether every vector has one
  // Row frequencies that are their own mirror images, 0 and n / 2: there the columns of second samples are the mirrored
  // conjugates of the first ones', and the inverse along rows does not read them, so those of first samples will do.
  // They will on a strided side too, where both fold onto its own 0 or n / 2.
  bool mirrors_itself(int64_t f) const { return f == 0 || f == half(); }
  int64_t row_pairs() const { return lanes_are_batch ? vectors() / 2 : groups() * ceil_div(batch, 2); }
  int64_t first_of_pair(int64_t pair) const {
    if (lanes_are_batch) return vector_of(pair / members() * 2, pair % members());
    return vector_of(pair / ceil_div(batch, 2), pair % ceil_div(batch, 2) * 2);
  }
  template <class Pointer>
  PlanePair<T, Pointer> planes(int64_t vector, Pointer data) const {
    const int64_t other = partner(vector);
    return {data + origin(vector),
            other != vector ? data + origin(other) : nullptr,
            lanes(vector / members()),
            lanes(other / members()),
            bundle(),
            pixel};
  }

  // Of pairs of vectors, and of one that has no partner.
  struct Places {
    RowPlaces<T> pair, single;
    const RowPlaces<T>& of(bool paired) const { return paired ? pair : single; }
  };
  Places make_places(Arena& arena) const {
    return {RowPlaces<T>::make(cols->n, arena), RowPlaces<T>::make(cols->n, arena)};
  }
  void fill(Places& places, bool inverse) const {
    places.pair.fill(columns(), first_column(partner(0)) - first_column(0), first_column(1), inverse);
    places.single.fill(columns(), 0, first_column(1), inverse);
  }

  // Threads share the rows of a map in bands, so that few maps keep all of them busy. How many there are does not
  // depend on the threads, or sums would.
  int64_t chunk_rows() const { return rows_per_chunk(size[0], size[1] * bundle()); }
  int64_t chunks() const { return ceil_div(size[0], chunk_rows()); }
  int64_t bands() const {
    constexpr int64_t kItems = 16;  // a loop that no thread waits for long at its end
    return smaller(chunks(), ceil_div(kItems, larger(1, row_pairs() / bundle())));
  }
  RowBand band(int64_t index) const {
    const auto start = [&](int64_t i) { return smaller(size[0], i * chunks() / bands() * chunk_rows()); };
    return {start(index), start(index + 1), size[1]};
  }
  RowBand all_rows() const { return {0, size[0], size[1]}; }
  // body(worker, first vector of a pair, number of a band)
  template <class Body>
  void for_bands(const Workers& workers, const Body& body) const {
    const int64_t count = bands();
    parallel_shares(workers, row_pairs() / bundle() * count, [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        body(worker, first_of_pair(i / count * bundle()), i % count);
    });
  }
  // Columns of all maps, of those without a partner times `single_scale`. If there are `sums`, of one vector each for
  // every band, the maps' own sums.
  void transform_rows(const T* data, T single_scale, const Places& places, Cx<T>* spectrum, Cx<T>* scratch_of_workers,
                      LaneSums<T>* sums, const Workers& workers) const {
    for_bands(workers, [&](int64_t worker, int64_t v, int64_t index) {
      const bool paired = partner(v) != v;
      LaneSums<T>* of_pair[2] = {};
      if (sums) {
        of_pair[0] = sums + index * vectors() + v;
        of_pair[1] = sums + index * vectors() + partner(v);
        for (int64_t m = 0; m < bundle(); ++m)
          of_pair[0][m] = of_pair[1][m] = {};
      }
      rows_forward(*cols, planes(v, data), band(index), paired ? T(1) : single_scale, places.of(paired),
                   spectrum + first_column(v), scratch_of_workers + worker * scratch(), sums ? of_pair : nullptr);
    });
  }
  // The number of each lane's channel.
  Vec<T> in_lanes(const T* of_channels, int64_t vector) const {
    Vec<T> numbers{};
    const int64_t group = vector / members(), first = lanes_are_batch ? vector % members() : group * kLanes<T>;
    for (int64_t l = 0; l < kLanes<T>; ++l)
      numbers[l] = of_channels[lanes_are_batch ? first : smaller(first + l, channels - 1)];
    return numbers;
  }
  // Plus a number per channel, if there is one.
  void invert_rows(const Cx<T>* spectrum, const Places& places, const T* plus, T* data, Cx<T>* scratch_of_workers,
                   const Workers& workers) const {
    for_bands(workers, [&](int64_t worker, int64_t v, int64_t index) {
      const auto plus_of = [&](int64_t m) { return plus ? in_lanes(plus, v + m) : Vec<T>{}; };
      rows_inverse(*cols, spectrum + first_column(v), places.of(partner(v) != v), band(index), plus_of, planes(v, data),
                   scratch_of_workers + worker * scratch());
    });
  }

  // The column that holds row frequency f of the full-length transform: the spectrum repeats, and its upper half is the
  // mirrored conjugate of the partner's.
  bool is_mirrored(int64_t f) const { return f % cols->n > half(); }
  const Cx<T>* column_at(const Cx<T>* spectrum, int64_t vector, int64_t f) const {
    const int64_t g = f % cols->n;
    if (g > half()) return spectrum + first_column(partner(vector)) + columns().at(cols->n - g, half());
    return spectrum + first_column(vector) + columns().at(g, half());
  }

  // Complex vectors of scratch that transform_column and invert_column need.
  int64_t column_scratch() const { return 3 * rows->n; }

  // The two-dimensional spectrum of one vector at row frequency f, a column.
  void transform_column(const Cx<T>* spectrum, int64_t vector, int64_t f, const Output<T>& out, Cx<T>* buffer) const {
    const Cx<T>* in = column_at(spectrum, vector, f);
    if (is_mirrored(f)) {
      Cx<T>* const conjugated = buffer + 2 * rows->n;
      for (int64_t y = 0; y < size[0]; ++y)
        conjugated[y] = conjugate(in[y]);
      in = conjugated;
    }
    fft(rows->complex, Input<T>::of(in, size[0]), out, buffer);
  }

  // The columns of `count` vectors from `first` on, as members of a tile from `out` on. Of series, the tile's rows are
  // the frequencies f[0], ..., f[frequencies - 1].
  template <int kForm>
  void tile_of_series(const Cx<T>* spectrum, int64_t first, int64_t count, const int64_t* f, int64_t frequencies,
                      const Tile& tile, const Output<T>& out) const {
    constexpr int64_t kAhead = 4;
    const Cx<T>* row[2 * Unit::kSeriesPairs];  // of vector 0
    bool mirrored[2 * Unit::kSeriesPairs], any_mirrored = false;
    for (int64_t i = 0; i < frequencies; ++i) {
      mirrored[i] = is_mirrored(f[i]);
      any_mirrored |= mirrored[i];
      row[i] = column_at(spectrum, 0, f[i]) - (mirrored[i] ? first_column(partner(0)) : 0);
    }
    for (int64_t v = first; v < first + count; ++v) {
      prefetch<false>(row[0] + (v + kAhead) * kSeriesUnit, kSeriesUnit);
      const int64_t other = any_mirrored ? partner(v) : v;
      for (int64_t i = 0; i < frequencies; ++i) {
        const Cx<T> value = row[i][(mirrored[i] ? other : v) * kSeriesUnit];
        put<T, kForm>(out.shifted((v - first) * tile.member), frequencies, i, mirrored[i] ? conjugate(value) : value);
      }
    }
  }
  // Of maps, if `firsts`, of the first vector of every pair alone.
  void transform_tile(const Cx<T>* spectrum, int64_t first, int64_t count, const int64_t* f, int64_t frequencies,
                      bool firsts, const Tile& tile, const Output<T>& out, Cx<T>* buffer) const {
    if (!series) {
      for (int64_t v = 0; v < count; ++v) {
        if (firsts && partner(first + v) < first + v) continue;
        const int64_t next = v + (firsts && !lanes_are_batch ? 2 : 1);
        if (next < count) prefetch<false>(column_at(spectrum, first + next, f[0]), size[0]);
        transform_column(spectrum, first + v, f[0], out.shifted(v * tile.member), buffer);
      }
    } else if (out.form == Output<T>::values) {
      tile_of_series<Output<T>::values>(spectrum, first, count, f, frequencies, tile, out);
    } else {
      tile_of_series<Output<T>::factors>(spectrum, first, count, f, frequencies, tile, out);
    }
  }

  // The inverse along a column of products, frequency y at (n - y) modulo n: `folds` stretches of rows->n values alias
  // onto one another.
  void invert_column(const Cx<T>* product, int64_t folds, Cx<T>* spectrum, int64_t vector, int64_t f,
                     Cx<T>* buffer) const {
    const int64_t n = rows->n;
    if (folds > 1) {
      Cx<T>* const folded = buffer + 2 * n;
      for (int64_t y = 0; y < n; ++y) {
        folded[y] = product[y];
        for (int64_t fold = 1; fold < folds; ++fold)
          folded[y] = folded[y] + product[y + fold * n];
      }
      product = folded;
    }
    Cx<T>* const out = spectrum + first_column(vector) + columns().at(f, half());
    prefetch<true>(out, size[0]);
    fft(rows->complex, Input<T>::of(product, n), Output<T>::to_values(out, size[0]), buffer);
  }
  // The same for a unit of a series, which needs no transform: product[i] is that of f[i].
  void keep_series(const Cx<T>* product, const Unit& unit, Cx<T>* spectrum, int64_t vector) const {
    Cx<T>* const out = spectrum + first_column(vector) + columns().near(unit.frequency[0]);
    for (int64_t i = 0; i < unit.count; ++i)
      out[i] = product[i];
  }
};

}  // namespace DASH_ISA
}  // namespace dash
