// SPDX-License-Identifier: BSD-3-Clause
// The dialect on the host, for tests: every thread of a block is a fiber, and every access is checked.
//
// Blocks run one after the other in random order, and so do the fibers of a block between two barriers. A Fault is
// thrown for
//   - an index outside a shared array or a global buffer,
//   - a load of what nobody stored: shared memory knows what was stored, fresh global memory is poisoned,
//   - two threads at one element of shared memory, one of them storing, with no barrier between,
//   - a second store to one element of global memory, where blocks would race: every result is stored once,
//   - a barrier that some threads of the block never reach, a shuffle that some lanes of the warp never reach,
//   - shared arrays on which the threads do not agree, or which take more memory than was asked for.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#define DASH_DEVICE inline
#define DASH_ANYWHERE inline

namespace dash {
namespace cuda {

constexpr int kWarp = 32;

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Grid {
  int64_t x, y = 1, z = 1;
};

namespace emulation {

// What a test may ask for.
struct Settings {
  uint64_t seed = 0;
  int64_t without_barrier = -1;            // this barrier of every thread does nothing
  int64_t most_shared_bytes = 227 * 1024;  // of a block, as on an H100
  int64_t barriers = 0;                    // that any block passed: what there is to leave out
};
inline Settings& settings() {
  static Settings one;
  return one;
}

// A NaN as float and as double that no arithmetic makes: whoever loads it loads what nobody stored.
constexpr uint32_t kPoison = 0x7ff5a5a5;

template <class T>
bool poisoned(const T& value) {
  static_assert(sizeof(T) % sizeof(kPoison) == 0, "elements are words");
  uint32_t words[sizeof(T) / sizeof(kPoison)];
  std::memcpy(words, &value, sizeof(T));
  return std::all_of(std::begin(words), std::end(words), [](uint32_t word) { return word == kPoison; });
}

inline void poison(void* data, size_t bytes) {
  for (size_t at = 0; at + sizeof(kPoison) <= bytes; at += sizeof(kPoison))
    std::memcpy(static_cast<char*>(data) + at, &kPoison, sizeof(kPoison));
}

// Who touched an element of shared memory last, and in which interval between barriers.
struct Trace {
  static constexpr int kNobody = -1, kSeveral = -2;
  int writer = kNobody, reader = kNobody;
  int64_t written = -1, read = -1;
};

struct Shared {
  size_t element;
  std::vector<unsigned char> data;
  std::vector<Trace> traces;
};

// One block: its fibers, its shared memory, and what they are waiting for.
class Machine {
 public:
  static Machine*& current() {
    static thread_local Machine* machine = nullptr;
    return machine;
  }

  template <class Body>
  void run(int threads, Grid at, int64_t shared_bytes, std::mt19937_64& random, const Body& body) {
    at_ = at;
    shared_bytes_ = shared_bytes;
    shared_used_ = interval_ = 0;
    arrays_.clear();
    fault_ = nullptr;
    run_ = [](const void* context) { (*static_cast<const Body*>(context))(); };
    body_ = &body;
    begin(threads);
    current() = this;
    std::vector<int> order(static_cast<size_t>(threads));
    std::iota(order.begin(), order.end(), 0);
    bool moved = true;
    while (moved && !fault_) {
      moved = false;
      std::shuffle(order.begin(), order.end(), random);
      for (int i : order) {
        if (fibers_[static_cast<size_t>(i)].state != State::ready || fault_) continue;
        resume(i);
        moved = true;
      }
      moved = moved || release();
    }
    current() = nullptr;
    settings().barriers = std::max(settings().barriers, interval_);
    if (fault_) std::rethrow_exception(fault_);
    for (const Fiber& fiber : fibers_)
      if (fiber.state != State::done) throw Fault(deadlock());
  }

  int thread() const { return now_; }
  const Grid& at() const { return at_; }

  void barrier() {
    Fiber& fiber = me();
    if (fiber.barriers++ == settings().without_barrier) return;
    wait(State::at_barrier);
  }

  template <class T>
  T shuffle(T value, int bits, uint32_t mask) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "a register or two");
    Fiber& fiber = me();
    const int lane = now_ % kWarp, from = lane ^ bits;
    if (!(mask >> lane & 1) || from < 0 || from >= kWarp || !(mask >> from & 1))
      throw Fault("shuffle: lane " + std::to_string(lane) + " or " + std::to_string(from) + " is not in its mask");
    // Two slots in turn: nobody is two shuffles ahead of a lane that has yet to read.
    const int slot = static_cast<int>(fiber.shuffles++ & 1);
    std::memcpy(&fiber.slots[slot], &value, sizeof(T));
    fiber.mask = mask;
    fiber.state = State::at_shuffle;
    const int first = now_ - lane;
    bool complete = true;
    for_lanes(first, mask, [&](const Fiber& other) {
      complete = complete && other.state == State::at_shuffle && other.mask == mask && other.shuffles == fiber.shuffles;
    });
    if (complete)
      for_lanes(first, mask, [](Fiber& other) { other.state = State::ready; });
    else
      wait(State::at_shuffle);
    T result;
    std::memcpy(&result, &fibers_[static_cast<size_t>(first + from)].slots[slot], sizeof(T));
    return result;
  }

  // The part of shared memory that this thread asks for next: the same for all that ask in the same turn.
  template <class T>
  Shared* next_shared(int64_t count) {
    const size_t turn = me().arrays++;
    if (turn == arrays_.size()) {
      shared_used_ += (count * static_cast<int64_t>(sizeof(T)) + 15) / 16 * 16;
      if (shared_used_ > shared_bytes_)
        throw Fault("shared arrays take " + std::to_string(shared_used_) + " bytes of " +
                    std::to_string(shared_bytes_));
      auto fresh = std::make_unique<Shared>();
      *fresh = {sizeof(T), std::vector<unsigned char>(static_cast<size_t>(count) * sizeof(T)),
                std::vector<Trace>(static_cast<size_t>(count))};
      arrays_.push_back(std::move(fresh));
    }
    Shared* const array = arrays_[turn].get();
    if (array->element != sizeof(T) || array->traces.size() != static_cast<size_t>(count))
      throw Fault("shared array " + std::to_string(turn) + " is not the same in all threads");
    return array;
  }

  void loads(Trace& trace, int64_t i) {
    if (trace.writer == Trace::kNobody)
      throw Fault("shared memory is loaded at " + std::to_string(i) + " before stored");
    if (trace.written == interval_ && trace.writer != now_) throw Fault(race(trace.writer, i));
    const bool shared = trace.read == interval_ && trace.reader != now_;
    trace.reader = shared ? Trace::kSeveral : now_;
    trace.read = interval_;
  }
  void stores(Trace& trace, int64_t i) {
    if (trace.written == interval_ && trace.writer != now_) throw Fault(race(trace.writer, i));
    if (trace.read == interval_ && trace.reader != now_) throw Fault(race(trace.reader, i));
    trace.writer = now_;
    trace.written = interval_;
  }

 private:
  enum class State { ready, at_barrier, at_shuffle, done };
  struct Fiber {
    State state = State::ready;
    bool started = false;
    int64_t barriers = 0, shuffles = 0;
    size_t arrays = 0;
    uint32_t mask = 0;
    uint64_t slots[2] = {0, 0};
    ucontext_t context;
    jmp_buf place;
    std::unique_ptr<char[]> stack;
  };
  static constexpr size_t kStack = 128 << 10;

  Fiber& me() { return fibers_[static_cast<size_t>(now_)]; }

  void begin(int threads) {
    fibers_.resize(static_cast<size_t>(threads));
    for (Fiber& fiber : fibers_) {
      if (!fiber.stack) fiber.stack = std::make_unique<char[]>(kStack);
      fiber.state = State::ready;
      fiber.started = false;
      fiber.barriers = fiber.shuffles = 0;
      fiber.arrays = 0;
    }
  }

  // A context is entered once by setcontext, which asks the kernel; every later switch is a long jump, which does not.
  void resume(int i) {
    now_ = i;
    if (_setjmp(scheduler_)) return;
    Fiber& fiber = me();
    if (fiber.started) _longjmp(fiber.place, 1);
    fiber.started = true;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, &Machine::start, 0);
    setcontext(&fiber.context);
  }
  static void start() {
    Machine& machine = *current();
    machine.guarded();
    machine.me().state = State::done;
    _longjmp(machine.scheduler_, 1);
  }
  void guarded() {
    try {
      run_(body_);
    } catch (...) {
      fault_ = std::current_exception();
    }
  }
  void wait(State state) {
    Fiber& fiber = me();
    fiber.state = state;
    if (!_setjmp(fiber.place)) _longjmp(scheduler_, 1);
  }

  // Opens the barrier if everybody is there.
  bool release() {
    for (const Fiber& fiber : fibers_)
      if (fiber.state != State::at_barrier) return false;
    for (Fiber& fiber : fibers_)
      fiber.state = State::ready;
    ++interval_;
    return true;
  }

  template <class Visit>
  void for_lanes(int first, uint32_t mask, const Visit& visit) {
    for (int lane = 0; lane < kWarp; ++lane)
      if (mask >> lane & 1) {
        const size_t i = static_cast<size_t>(first + lane);
        if (i >= fibers_.size()) throw Fault("shuffle: lane " + std::to_string(lane) + " of its mask has no thread");
        visit(fibers_[i]);
      }
  }

  std::string deadlock() const {
    int64_t counts[4] = {0, 0, 0, 0};
    for (const Fiber& fiber : fibers_)
      ++counts[static_cast<int>(fiber.state)];
    const auto [least, most] = std::minmax_element(
        fibers_.begin(), fibers_.end(), [](const Fiber& a, const Fiber& b) { return a.barriers < b.barriers; });
    return "divergent: " + std::to_string(counts[1]) + " threads wait at a barrier, " + std::to_string(counts[2]) +
           " at a shuffle, " + std::to_string(counts[3]) + " have ended; they met " + std::to_string(least->barriers) +
           " to " + std::to_string(most->barriers) + " barriers";
  }
  std::string race(int other, int64_t i) const {
    return "race: thread " + std::to_string(now_) + " and " +
           (other == Trace::kSeveral ? "others" : "thread " + std::to_string(other)) + " meet at element " +
           std::to_string(i) + " of shared memory with no barrier between";
  }

  std::vector<Fiber> fibers_;
  std::vector<std::unique_ptr<Shared>> arrays_;
  std::exception_ptr fault_;
  jmp_buf scheduler_;
  void (*run_)(const void*) = nullptr;
  const void* body_ = nullptr;
  Grid at_{0};
  int64_t shared_bytes_ = 0, shared_used_ = 0, interval_ = 0;
  int now_ = 0;
};

inline void check_index(const char* memory, int64_t i, int64_t size) {
  if (i < 0 || i >= size)
    throw Fault(std::string(memory) + " of " + std::to_string(size) + " elements is accessed at " + std::to_string(i));
}

}  // namespace emulation

template <class T>
class Global {
 public:
  using Value = std::remove_const_t<T>;
  Global() = default;
  Global(T* data, int64_t size) : data_(data), size_(size) {}
  Value load(int64_t i) const {
    emulation::check_index("global memory", i, size_);
    if (emulation::poisoned(data_[i]))
      throw Fault("global memory is loaded at " + std::to_string(i) + " before stored");
    return data_[i];
  }
  void store(int64_t i, const Value& value) const {
    emulation::check_index("global memory", i, size_);
    if (!emulation::poisoned(data_[i]))
      throw Fault("global memory is stored at " + std::to_string(i) + " a second time");
    data_[i] = value;
  }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
};

template <class T>
class SharedArray {
 public:
  explicit SharedArray(emulation::Shared* array) : array_(array) {}
  T load(int i) const {
    emulation::check_index("shared memory", i, size());
    emulation::Machine::current()->loads(array_->traces[static_cast<size_t>(i)], i);
    T value;
    std::memcpy(&value, array_->data.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    return value;
  }
  void store(int i, const T& value) const {
    emulation::check_index("shared memory", i, size());
    emulation::Machine::current()->stores(array_->traces[static_cast<size_t>(i)], i);
    std::memcpy(array_->data.data() + static_cast<size_t>(i) * sizeof(T), &value, sizeof(T));
  }

 private:
  int64_t size() const { return static_cast<int64_t>(array_->traces.size()); }
  emulation::Shared* array_;
};

class Block {
 public:
  int thread() const { return machine().thread(); }
  int x() const { return static_cast<int>(machine().at().x); }
  int y() const { return static_cast<int>(machine().at().y); }
  int z() const { return static_cast<int>(machine().at().z); }
  void barrier() const { machine().barrier(); }
  template <class T>
  T shuffle_xor(T value, int bits, uint32_t mask = 0xffffffffU) const {
    return machine().shuffle(value, bits, mask);
  }
  template <class T>
  SharedArray<T> shared(int count) const {
    return SharedArray<T>(machine().next_shared<T>(count));
  }

 private:
  static emulation::Machine& machine() { return *emulation::Machine::current(); }
};

inline int64_t most_shared_bytes(int /*device*/) {
  return emulation::settings().most_shared_bytes;
}

struct Stream {};

template <class Kernel>
void launch(Stream, Grid grid, int64_t shared_bytes, const Kernel& kernel) {
  const emulation::Settings& settings = emulation::settings();
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > 2147483647 || grid.y > 65535 || grid.z > 65535)
    throw Fault("no GPU starts a grid of " + std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " +
                std::to_string(grid.z) + " blocks");
  if (Kernel::kThreads > 1024 || Kernel::kThreads % kWarp != 0 || shared_bytes > settings.most_shared_bytes)
    throw Fault("no GPU starts blocks of " + std::to_string(Kernel::kThreads) + " threads with " +
                std::to_string(shared_bytes) + " bytes of shared memory");
  static thread_local emulation::Machine machine;  // its stacks are used again
  std::mt19937_64 random(settings.seed);
  std::vector<int64_t> order(static_cast<size_t>(grid.x * grid.y * grid.z));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::shuffle(order.begin(), order.end(), random);
  for (int64_t i : order) {
    const Grid at{i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y)};
    machine.run(Kernel::kThreads, at, shared_bytes, random, [&] { kernel(Block()); });
  }
}

}  // namespace cuda
}  // namespace dash
