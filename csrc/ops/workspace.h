// SPDX-License-Identifier: BSD-3-Clause
// Memory of one call: huge pages, and a workspace. The largest block that was given back is kept for the next call:
// fresh pages cost more than the transforms that fill them.
#pragma once
#include <cstddef>

namespace dash {

// Advice about fresh memory, which may not be taken: its pages then take longer to come than maps to compute.
void ask_for_huge_pages(void* block, size_t bytes);

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
