// SPDX-License-Identifier: BSD-3-Clause
// Threads that stay together through a call: one leads and runs the algorithm, the others take part in its loops. A
// loop's iterations go to whoever is free, so a thread that wakes late, or never, keeps nobody waiting; and between
// loops threads spin, for they are shorter than it takes to wake one.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>

#include "problem.h"

namespace dash {

class Team {
 public:
  using Body = void (*)(void* arg, int64_t worker, int64_t i);

  // What the leader's loops are run with.
  Workers workers(int64_t count) {
    return {count, this,
            [](void* team, int64_t n, Body body, void* arg) { static_cast<Team*>(team)->run(n, body, arg); }};
  }

  // What the others do until the leader dismisses them, which may be before they begin.
  void follow(int64_t worker) {
    Patience patience;
    for (;;) {
      const uint64_t ticket = ticket_.load(std::memory_order_acquire);
      if (ticket == kDismissed) return;
      if (take(ticket, worker))
        patience = {};
      else
        patience.wait();
    }
  }

  // The leader's part: at its end, however it comes, the others are dismissed.
  class Lead {
   public:
    explicit Lead(Team& team) : team_(team) {}
    ~Lead() { team_.ticket_.store(kDismissed, std::memory_order_release); }
    Lead(const Lead&) = delete;
    Lead& operator=(const Lead&) = delete;

   private:
    Team& team_;
  };

 private:
  // Number of the loop, how many iterations it has, and which one is next: all in one, so that nobody takes an
  // iteration of one loop for another's.
  static constexpr int kBits = 20;
  static constexpr uint64_t kMask = (uint64_t{1} << kBits) - 1, kDismissed = ~uint64_t{0};
  static_assert(kMostIterations <= kMask);

  struct Patience {
    int spins = 0;
    void wait() {
      constexpr int kSpins = 2000;  // some 50 microseconds; then others may want the core
      if (++spins > kSpins) return std::this_thread::yield();
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
  };

  void run(int64_t n, Body body, void* arg) {
    if (n == 1) return body(arg, 0, 0);
    body_.store(body, std::memory_order_relaxed);
    arg_.store(arg, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    ticket_.store(++loop_ << 2 * kBits | static_cast<uint64_t>(n) << kBits, std::memory_order_release);
    while (take(ticket_.load(std::memory_order_acquire), 0)) {
    }
    for (Patience patience; done_.load(std::memory_order_acquire) < n;)
      patience.wait();
  }

  // False if there was nothing to take. Body and argument are those of the ticket's loop if the ticket still stands
  // when it is taken: the leader changes them only when all iterations are done.
  bool take(uint64_t ticket, int64_t worker) {
    while ((ticket & kMask) < (ticket >> kBits & kMask)) {
      const Body body = body_.load(std::memory_order_relaxed);
      void* const arg = arg_.load(std::memory_order_relaxed);
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
      body(arg, worker, static_cast<int64_t>(ticket & kMask));
      done_.fetch_add(1, std::memory_order_release);
      return true;
    }
    return false;
  }

  uint64_t loop_ = 0;
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int64_t> done_{0};
  std::atomic<Body> body_{nullptr};
  std::atomic<void*> arg_{nullptr};
};

}  // namespace dash
