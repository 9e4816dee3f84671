// SPDX-License-Identifier: BSD-3-Clause
// What depends on a geometry alone and takes as long to make as a small layer to compute: made once, kept for a while.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace dash {

// Shared by all threads. When it holds kMost of them it forgets all; those in use live on.
template <class Made>
class Memo {
 public:
  using Key = std::vector<int64_t>;

  // make() where the key is new; whether that is to be kept, keep(made) says.
  template <class Make, class Keep>
  std::shared_ptr<const Made> get(Key key, const Make& make, const Keep& keep) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = made_.find(key);
      if (found != made_.end()) return found->second;
    }
    std::shared_ptr<const Made> made = make();
    if (keep(*made)) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (made_.size() >= kMost) made_.clear();
      made_.emplace(std::move(key), made);
    }
    return made;
  }

 private:
  static constexpr size_t kMost = 256;
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Made>> made_;
};

}  // namespace dash
