// SPDX-License-Identifier: BSD-3-Clause
// The torch-free core over NumPy arrays: every instruction set and every kernel alone, for tests, benchmarks and
// build_info.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../core/direct_plan.h"
#include "../core/isa.h"
#include "../core/plan.h"
#include "../core/team.h"

namespace py = pybind11;

namespace dash {
namespace {

using Ints = std::vector<int64_t>;
template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

Isa isa_by_name(const std::string& name) {
  for (Isa isa : supported_isas())
    if (name == isa_name(isa)) return isa;
  throw std::invalid_argument("instruction set '" + name + "' is unknown or above this processor's");
}

// Threads of our own for one call, however many cores there are.
class Threads {
 public:
  explicit Threads(int64_t count) : count_(count) {
    for (int64_t i = 1; i < count; ++i)
      followers_.emplace_back([this, i] { team_.follow(i); });
  }
  ~Threads() {
    {
      const Team::Lead over(team_);
    }
    for (std::thread& follower : followers_)
      follower.join();
  }
  Threads(const Threads&) = delete;
  Workers workers() { return team_.workers(count_); }

 private:
  int64_t count_;
  Team team_;
  std::vector<std::thread> followers_;
};

class AlignedBuffer {
 public:
  // Filled with NaN: a kernel that reads what it did not write shows.
  explicit AlignedBuffer(int64_t bytes) : bytes_(static_cast<size_t>(bytes) + 64, '\xff') {}
  void* get() { return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(bytes_.data()) + 63) / 64 * 64); }

 private:
  std::vector<char> bytes_;
};

ConvOp op_by_name(const std::string& name) {
  if (name == "forward") return ConvOp::forward;
  if (name == "input_grad") return ConvOp::input_grad;
  if (name == "weight_grad") return ConvOp::weight_grad;
  throw std::invalid_argument("operator '" + name + "': use forward, input_grad or weight_grad");
}

// `bias`, one number per output channel, is added by "forward" and filled by "weight_grad".
template <class T>
Operands<T> operands_of(ConvOp op, const Array<T>& a, const Array<T>& b, py::array_t<T>& result,
                        std::optional<Array<T>>& bias, int64_t channels) {
  if (bias && (op == ConvOp::input_grad || bias->ndim() != 1 || bias->shape(0) != channels))
    throw std::invalid_argument("bias is one number per output channel, of forward and weight_grad");
  return {a.data(), b.data(), result.mutable_data(), bias && op == ConvOp::forward ? bias->data() : nullptr,
          bias && op == ConvOp::weight_grad ? bias->mutable_data() : nullptr};
}

template <class T>
void check_shape(const Array<T>& array, const Ints& shape) {
  if (Ints(array.shape(), array.shape() + array.ndim()) != shape)
    throw std::invalid_argument("array shapes do not fit the sizes given");
}

// Sizes of maps in the order of their axes: (batch, channels, *size), or (batch, *size, channels).
Ints maps_shape(int64_t batch, int64_t channels, const Ints& size, bool channels_last) {
  Ints shape = {batch};
  shape.insert(shape.end(), size.begin(), size.end());
  shape.insert(channels_last ? shape.end() : shape.begin() + 1, channels);
  return shape;
}
template <class T>
int64_t channels_of(const Array<T>& maps, bool channels_last) {
  return maps.shape(channels_last ? maps.ndim() - 1 : 1);
}

// A convolution of two-dimensional maps: a 1-D problem is one row. offsets holds (row, column) pairs.
struct Convolution {
  ConvProblem problem{};
  Ints x_shape, y_shape, taps_shape;

  Convolution(int64_t batch, int64_t in_channels, int64_t out_channels, const Ints& offsets, const Ints& in,
              const Ints& out, const Ints& stride, const Ints& length, int64_t groups, bool circular, int64_t workers,
              bool channels_last) {
    if (in.size() != 2 || out.size() != 2 || stride.size() != 2 || length.size() != 2 || offsets.size() % 2 ||
        workers < 1)
      throw std::invalid_argument("sizes, stride and length take two entries, offsets pairs, workers at least 1");
    problem.batch = batch;
    problem.groups = groups;
    problem.num_taps = static_cast<int64_t>(offsets.size()) / 2;
    problem.circular = circular;
    problem.in_channels = in_channels;
    problem.out_channels = out_channels;
    for (int axis = 0; axis < 2; ++axis) {
      problem.in[axis] = in[axis], problem.out[axis] = out[axis];
      problem.stride[axis] = stride[axis], problem.length[axis] = length[axis];
    }
    check_problem(problem, offsets.data());
    problem.in_maps = MapStrides::of(in_channels, in[0] * in[1], channels_last);
    problem.out_maps = MapStrides::of(out_channels, out[0] * out[1], channels_last);
    x_shape = maps_shape(batch, in_channels, in, channels_last);
    y_shape = maps_shape(batch, out_channels, out, channels_last);
    taps_shape = {out_channels, in_channels / groups, problem.num_taps};
  }
};

template <class T>
void run(ConvOp op, const ConvProblem& problem, const Ints& offsets, const Operands<T>& operands,
         const std::string& isa, int64_t workers) {
  const SortedTaps sorted(problem, offsets.data());
  const KernelTable<T>& table = kernels<T>(isa_by_name(isa));
  AlignedBuffer workspace(table.workspace(op, problem, sorted.list(), workers));
  table.convolve(op, problem, sorted.list(), operands, workspace.get(), Threads(workers).workers());
}

template <class T>
py::array_t<T> convolve(const std::string& op_name, Array<T> a, Array<T> b, const Ints& offsets, const Ints& in,
                        const Ints& out, const Ints& stride, const Ints& length, int64_t groups, bool circular,
                        const std::string& isa, int64_t workers, std::optional<Array<T>> bias, bool channels_last) {
  const ConvOp op = op_by_name(op_name);
  const bool weights_out = op == ConvOp::weight_grad;
  if (a.ndim() != 4 || b.ndim() != (weights_out ? 4 : 3)) throw std::invalid_argument("maps have 4 axes, taps 3");
  const int64_t of_a = channels_of(a, channels_last);
  const int64_t in_channels = weights_out             ? channels_of(b, channels_last)
                              : op == ConvOp::forward ? of_a
                                                      : b.shape(1) * groups;
  const int64_t out_channels = op == ConvOp::forward ? b.shape(0) : of_a;
  const Convolution call(a.shape(0), in_channels, out_channels, offsets, in, out, stride, length, groups, circular,
                         workers, channels_last);
  check_shape(a, op == ConvOp::forward ? call.x_shape : call.y_shape);
  check_shape(b, weights_out ? call.x_shape : call.taps_shape);
  py::array_t<T> result(op == ConvOp::forward ? call.y_shape : weights_out ? call.taps_shape : call.x_shape);
  run(op, call.problem, offsets, operands_of(op, a, b, result, bias, out_channels), isa, workers);
  return result;
}

// The gradients of x, of the taps and of a bias.
template <class T>
std::tuple<py::array_t<T>, py::array_t<T>, py::array_t<T>> convolve_grads(
    Array<T> grad, Array<T> taps, Array<T> x, const Ints& offsets, const Ints& in, const Ints& out, const Ints& stride,
    const Ints& length, int64_t groups, bool circular, const std::string& isa, int64_t workers, bool channels_last) {
  if (grad.ndim() != 4 || taps.ndim() != 3 || x.ndim() != 4) throw std::invalid_argument("maps have 4 axes, taps 3");
  const int64_t in_channels = channels_of(x, channels_last), out_channels = channels_of(grad, channels_last);
  const Convolution call(x.shape(0), in_channels, out_channels, offsets, in, out, stride, length, groups, circular,
                         workers, channels_last);
  check_shape(grad, call.y_shape);
  check_shape(taps, call.taps_shape);
  check_shape(x, call.x_shape);
  py::array_t<T> of_x(call.x_shape), of_taps(call.taps_shape), of_bias(Ints{out_channels});
  const Operands<T> operands = {
      grad.data(), taps.data(), of_x.mutable_data(), nullptr, of_bias.mutable_data(), x.data(), of_taps.mutable_data()};
  run(ConvOp::both_grads, call.problem, offsets, operands, isa, workers);
  return {of_x, of_taps, of_bias};
}

// The same as direct sums, of maps of one to three axes; offsets holds one number per axis and tap.
template <class T>
py::array_t<T> direct(const std::string& op_name, Array<T> a, Array<T> b, const Ints& offsets, const Ints& in,
                      const Ints& out, const Ints& stride, int64_t groups, bool circular, const std::string& isa,
                      int64_t workers, std::optional<Array<T>> bias, bool channels_last) {
  const size_t axes = in.size();
  if (axes < 1 || axes > 3 || out.size() != axes || stride.size() != axes || offsets.size() % axes || workers < 1)
    throw std::invalid_argument("sizes and stride take one to three entries, offsets as many per tap, workers a count");
  const ConvOp op = op_by_name(op_name);
  const bool weights_out = op == ConvOp::weight_grad;
  const auto maps = static_cast<py::ssize_t>(axes) + 2;
  if (a.ndim() != maps || b.ndim() != (weights_out ? maps : 3) || groups < 1)
    throw std::invalid_argument("maps have two axes more than sizes, taps 3; groups is at least 1");
  DirectProblem problem{};
  problem.batch = a.shape(0);
  problem.groups = groups;
  problem.num_taps = static_cast<int64_t>(offsets.size() / axes);
  problem.circular = circular;
  const int64_t of_a = channels_of(a, channels_last);
  problem.in_channels = weights_out             ? channels_of(b, channels_last)
                        : op == ConvOp::forward ? of_a
                                                : b.shape(1) * groups;
  problem.out_channels = op == ConvOp::forward ? b.shape(0) : of_a;
  put_axes(in, problem.in);
  put_axes(out, problem.out);
  put_axes(stride, problem.stride);
  problem.in_maps = MapStrides::of(problem.in_channels, problem.in[0] * problem.in[1] * problem.in[2], channels_last);
  problem.out_maps =
      MapStrides::of(problem.out_channels, problem.out[0] * problem.out[1] * problem.out[2], channels_last);
  const Ints x_shape = maps_shape(problem.batch, problem.in_channels, in, channels_last);
  const Ints y_shape = maps_shape(problem.batch, problem.out_channels, out, channels_last);
  const Ints taps_shape = {problem.out_channels, problem.in_channels / groups, problem.num_taps};
  check_shape(a, op == ConvOp::forward ? x_shape : y_shape);
  check_shape(b, weights_out ? x_shape : taps_shape);
  const DirectPlan plan(op, problem, offset_triples(offsets, axes).data());
  py::array_t<T> result(op == ConvOp::forward ? y_shape : weights_out ? taps_shape : x_shape);
  const KernelTable<T>& table = kernels<T>(isa_by_name(isa));
  AlignedBuffer workspace(table.direct_workspace(op, problem, plan.table(), workers));
  table.direct_convolve(op, problem, plan.table(), operands_of(op, a, b, result, bias, problem.out_channels),
                        workspace.get(), Threads(workers).workers());
  return result;
}

// One operator of the mixing family: "mix_taps" of (weight, mixture), "gather_taps" of (gradient, mixture),
// "mixture_grad" of (gradient, weight); weights are (rows, packed), gradients (rows, lattice).
template <class T>
py::array_t<T> mix(const std::string& op, Array<T> a, Array<T> b, const Ints& index, const Ints& counts,
                   int64_t lattice, const std::string& isa, int64_t workers) {
  const MixProblem problem{a.shape(0),   static_cast<int64_t>(index.size()),
                           lattice,      static_cast<int64_t>(counts.size()),
                           index.data(), counts.data()};
  const KernelTable<T>& table = kernels<T>(isa_by_name(isa));
  const auto run = [&](auto kernel, const Ints& shape) {
    py::array_t<T> result(shape);
    AlignedBuffer workspace(table.mix_workspace(problem, workers));
    kernel(problem, a.data(), b.data(), result.mutable_data(), workspace.get(), Threads(workers).workers());
    return result;
  };
  if (a.ndim() != 2 || a.shape(1) != (op == "mix_taps" ? problem.packed : lattice) || workers < 1)
    throw std::invalid_argument("array shapes do not fit index and lattice");
  if (op == "mix_taps") return run(table.mix_taps, {problem.rows, lattice});
  const auto adjoint = [&](bool of_weight) {
    return [&, of_weight](const MixProblem&, const T* gradient, const T* other, T* result, void* workspace,
                          const Workers& threads) {
      table.mix_grads(problem, gradient, of_weight ? nullptr : other, of_weight ? other : nullptr,
                      of_weight ? result : nullptr, of_weight ? nullptr : result, workspace, threads);
    };
  };
  if (op == "gather_taps") return run(adjoint(true), {problem.rows, problem.packed});
  if (op == "mixture_grad") return run(adjoint(false), {problem.candidates});
  throw std::invalid_argument("operator '" + op + "': use mix_taps, gather_taps or mixture_grad");
}

// Both adjoints of "mix_taps" in one pass: the gradients of weights (rows, packed) and mixture.
template <class T>
std::pair<py::array_t<T>, py::array_t<T>> mix_grads(Array<T> gradient, Array<T> weight, Array<T> mixture,
                                                    const Ints& index, const Ints& counts, const std::string& isa,
                                                    int64_t workers) {
  const auto packed = static_cast<int64_t>(index.size()), candidates = static_cast<int64_t>(counts.size());
  if (gradient.ndim() != 2 || weight.ndim() != 2 || mixture.ndim() != 1 || weight.shape(0) != gradient.shape(0) ||
      weight.shape(1) != packed || mixture.shape(0) != candidates || workers < 1)
    throw std::invalid_argument("array shapes do not fit index and counts");
  const MixProblem problem{weight.shape(0), packed, gradient.shape(1), candidates, index.data(), counts.data()};
  const KernelTable<T>& table = kernels<T>(isa_by_name(isa));
  py::array_t<T> of_weight(Ints{problem.rows, packed}), of_mixture(Ints{candidates});
  AlignedBuffer workspace(table.mix_workspace(problem, workers));
  table.mix_grads(problem, gradient.data(), weight.data(), mixture.data(), of_weight.mutable_data(),
                  of_mixture.mutable_data(), workspace.get(), Threads(workers).workers());
  return {of_weight, of_mixture};
}

Ints plan_radices(int64_t n) {
  const FftPlan<double>& plan = length_plan<double>(n).complex;
  Ints radices;
  for (int64_t i = 0; i < plan.passes; ++i)
    radices.push_back(plan.pass[i].radix);
  return radices;
}

}  // namespace
}  // namespace dash

PYBIND11_MODULE(_core, m) {
  m.doc() = "The torch-free core of dash_kernels over NumPy arrays.";
  m.def(
      "supported_isas",
      [] {
        std::vector<std::string> names;
        for (dash::Isa isa : dash::supported_isas())
          names.emplace_back(dash::isa_name(isa));
        return names;
      },
      "Instruction sets this processor runs, lowest first.");
  m.def(
      "isa", [] { return dash::isa_name(dash::chosen_isa()); },
      "The instruction set in use: the best one, capped by DASH_KERNELS_ISA.");
  m.def("radices", &dash::plan_radices, "Radices of the passes of a transform of length n.", py::arg("n"));
  const auto def_convolve = [&m](auto function) {
    m.def(
        "convolve", function,
        "One convolution ('forward', 'input_grad', 'weight_grad') of maps (batch, channels, rows, columns), or (batch, "
        "rows, columns, channels) if channels_last.",
        py::arg("op"), py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("offsets"), py::arg("in_size"),
        py::arg("out_size"), py::arg("stride"), py::arg("length"), py::arg("groups"), py::arg("circular"),
        py::arg("isa"), py::arg("workers"), py::arg("bias").noconvert() = py::none(), py::arg("channels_last") = false);
  };
  def_convolve(&dash::convolve<float>);
  def_convolve(&dash::convolve<double>);
  const auto def_convolve_grads = [&m](auto function) {
    m.def("convolve_grads", function, "The gradients of x, of the taps and of a bias, together.",
          py::arg("grad").noconvert(), py::arg("taps").noconvert(), py::arg("x").noconvert(), py::arg("offsets"),
          py::arg("in_size"), py::arg("out_size"), py::arg("stride"), py::arg("length"), py::arg("groups"),
          py::arg("circular"), py::arg("isa"), py::arg("workers"), py::arg("channels_last") = false);
  };
  def_convolve_grads(&dash::convolve_grads<float>);
  def_convolve_grads(&dash::convolve_grads<double>);
  const auto def_direct = [&m](auto function) {
    m.def("direct", function, "One convolution as `convolve` computes it, by direct sums over the taps.", py::arg("op"),
          py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("offsets"), py::arg("in_size"),
          py::arg("out_size"), py::arg("stride"), py::arg("groups"), py::arg("circular"), py::arg("isa"),
          py::arg("workers"), py::arg("bias").noconvert() = py::none(), py::arg("channels_last") = false);
  };
  def_direct(&dash::direct<float>);
  def_direct(&dash::direct<double>);
  const auto def_mix = [&m](auto function) {
    m.def("mix", function, "One operator of the mixing family over (rows, packed) weights and (rows, lattice) taps.",
          py::arg("op"), py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("index"), py::arg("counts"),
          py::arg("lattice"), py::arg("isa"), py::arg("workers"));
  };
  def_mix(&dash::mix<float>);
  def_mix(&dash::mix<double>);
  const auto def_mix_grads = [&m](auto function) {
    m.def("mix_grads", function, "The operators 'gather_taps' and 'mixture_grad' of `mix` in one pass.",
          py::arg("gradient").noconvert(), py::arg("weight").noconvert(), py::arg("mixture").noconvert(),
          py::arg("index"), py::arg("counts"), py::arg("isa"), py::arg("workers"));
  };
  def_mix_grads(&dash::mix_grads<float>);
  def_mix_grads(&dash::mix_grads<double>);
}
