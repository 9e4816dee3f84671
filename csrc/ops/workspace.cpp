// SPDX-License-Identifier: BSD-3-Clause
#include "workspace.h"

#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace dash {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kMostKept = size_t{256} << 20;  // larger blocks go back to the system at once

struct Kept {
  std::mutex mutex;
  void* block = nullptr;
  size_t bytes = 0;
};
Kept& kept() {
  static Kept* const one = new Kept;  // never destroyed: threads may outlive static destructors
  return *one;
}

void* allocate(size_t bytes) {
  void* block = std::aligned_alloc(kHugePage, bytes);
  if (!block) throw std::bad_alloc();
  ask_for_huge_pages(block, bytes);
  return block;
}

}  // namespace

void ask_for_huge_pages([[maybe_unused]] void* block, [[maybe_unused]] size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const size_t begin = (reinterpret_cast<size_t>(block) + kHugePage - 1) / kHugePage * kHugePage;
  const size_t end = (reinterpret_cast<size_t>(block) + bytes) / kHugePage * kHugePage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

Workspace::Workspace(size_t bytes) : block_(nullptr), bytes_((bytes + kHugePage - 1) / kHugePage * kHugePage) {
  size_t found = 0;
  {
    const std::lock_guard<std::mutex> lock(kept().mutex);
    block_ = std::exchange(kept().block, nullptr);
    found = std::exchange(kept().bytes, 0);
  }
  if (found >= bytes_) {
    bytes_ = found;
    return;
  }
  std::free(block_);  // before the larger one comes: never both
  block_ = allocate(bytes_);
}

Workspace::~Workspace() {
  {
    const std::lock_guard<std::mutex> lock(kept().mutex);
    if (bytes_ <= kMostKept && bytes_ > kept().bytes) {
      std::swap(block_, kept().block);
      std::swap(bytes_, kept().bytes);
    }
  }
  std::free(block_);
}

}  // namespace dash
