// SPDX-License-Identifier: BSD-3-Clause
// What depends on a geometry alone and takes as long to make as a small layer to compute: made once, kept for a while.
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace dash {

// Shared by all threads, and never destroyed, for they may outlive it. Made says how many bytes() it takes. Where all
// together would take more than kMost it forgets them; those in use live on.
template <class Made>
class Memo {
 public:
  // All numbers that what is made depends on.
  using Key = std::vector<int64_t>;

  static Memo& one() {
    static Memo* const memo = new Memo;
    return *memo;
  }

  // make() where the key is new.
  template <class Make>
  std::shared_ptr<const Made> get(Key key, const Make& make) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = made_.find(key);
      if (found != made_.end()) return found->second;
    }
    const auto made = std::make_shared<const Made>(make());
    const int64_t bytes = made->bytes() + static_cast<int64_t>(key.size() * sizeof(int64_t));
    if (bytes <= kMost / 16) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (bytes_ + bytes > kMost) {
        made_.clear();
        bytes_ = 0;
      }
      if (made_.emplace(std::move(key), made).second) bytes_ += bytes;
    }
    return made;
  }

 private:
  static constexpr int64_t kMost = int64_t{16} << 20;
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Made>> made_;
  int64_t bytes_ = 0;
};

// The numbers of both, one after the other.
inline std::vector<int64_t> memo_key(std::initializer_list<int64_t> first, const std::vector<int64_t>& last) {
  std::vector<int64_t> key(first.size() + last.size());
  std::copy(last.begin(), last.end(), std::copy(first.begin(), first.end(), key.begin()));
  return key;
}

}  // namespace dash
