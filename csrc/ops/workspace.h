// SPDX-License-Identifier: BSD-3-Clause
// Scratch memory of one call. The largest block that was given back is kept for the next call: fresh pages cost more
// than the transforms that fill them.
#pragma once
#include <cstddef>

namespace dash {

class Workspace {
 public:
  // Throws std::bad_alloc where there is not that much memory.
  explicit Workspace(size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* data() const { return block_; }

 private:
  void* block_;
  size_t bytes_;
};

}  // namespace dash
