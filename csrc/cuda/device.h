// SPDX-License-Identifier: BSD-3-Clause
// The dialect on a GPU: thin names over what CUDA C++ has.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#define DASH_DEVICE __device__ __forceinline__
#define DASH_ANYWHERE __host__ __device__ __forceinline__  // for the host too, which plans launches

namespace dash {
namespace cuda {

constexpr int kWarp = 32;

// Memory that all blocks see. What is const no block writes while the kernel runs.
template <class T>
class Global {
 public:
  using Value = std::remove_const_t<T>;
  Global() = default;
  Global(T* data, int64_t /*size*/) : data_(data) {}
  DASH_DEVICE Value load(int64_t i) const {
    if constexpr (std::is_const_v<T>)
      return read_only(data_ + i);
    else
      return data_[i];
  }
  DASH_DEVICE void store(int64_t i, const Value& value) const { data_[i] = value; }

 private:
  template <class V>
  static DASH_DEVICE V read_only(const V* from) {
    if constexpr (std::is_arithmetic_v<V>)
      return __ldg(from);
    else
      return V::read_only(from);
  }
  T* data_ = nullptr;
};

// Memory that the threads of one block share; a barrier lies between a store and another thread's load.
template <class T>
class SharedArray {
 public:
  DASH_DEVICE explicit SharedArray(T* data) : data_(data) {}
  DASH_DEVICE T load(int i) const { return data_[i]; }
  DASH_DEVICE void store(int i, const T& value) const { data_[i] = value; }

 private:
  T* data_;
};

// One thread's view of its block.
class Block {
 public:
  DASH_DEVICE Block() {
    extern __shared__ __align__(16) unsigned char shared_memory[];
    next_ = shared_memory;
  }
  DASH_DEVICE int thread() const { return static_cast<int>(threadIdx.x); }
  DASH_DEVICE int x() const { return static_cast<int>(blockIdx.x); }
  DASH_DEVICE int y() const { return static_cast<int>(blockIdx.y); }
  DASH_DEVICE int z() const { return static_cast<int>(blockIdx.z); }
  // Every thread of the block gets here, or none.
  DASH_DEVICE void barrier() const { __syncthreads(); }
  // The value of the lane whose number differs in these bits; every lane of the warp gets here, or none.
  template <class T>
  DASH_DEVICE T shuffle_xor(T value, int bits) const {
    return __shfl_xor_sync(0xffffffffU, value, bits);
  }
  // The next part of the block's shared memory; every thread asks for the same parts.
  template <class T>
  DASH_DEVICE SharedArray<T> shared(int count) const {
    T* const data = reinterpret_cast<T*>(next_);
    next_ += (static_cast<size_t>(count) * sizeof(T) + 15) / 16 * 16;
    return SharedArray<T>(data);
  }

 private:
  mutable unsigned char* next_;
};

struct Grid {
  int64_t x, y = 1, z = 1;
};

// A grid constant: tables inside a kernel's arguments are indexed where they are, and not copied for every thread.
template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, 2) entry(const __grid_constant__ Kernel kernel) {
  kernel(Block());
}

// Throws what CUDA says to the launch, not to the run: that comes with a later call.
inline void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

// Shared memory that a block may have, in bytes.
inline int64_t most_shared_bytes(int device) {
  int bytes = 0;
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  return bytes;
}

using Stream = cudaStream_t;

template <class Kernel>
void launch(Stream stream, Grid grid, int64_t shared_bytes, const Kernel& kernel) {
  constexpr int64_t kWithoutAsking = 48 << 10, kMostX = 2147483647, kMostYZ = 65535;
  if (grid.x > kMostX || grid.y > kMostYZ || grid.z > kMostYZ)
    throw std::runtime_error("a grid of " + std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " +
                             std::to_string(grid.z) + " blocks is larger than CUDA allows; give a smaller batch");
  if (shared_bytes > kWithoutAsking)
    check(cudaFuncSetAttribute(entry<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)));
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
  entry<Kernel><<<blocks, Kernel::kThreads, static_cast<size_t>(shared_bytes), stream>>>(kernel);
  check(cudaGetLastError());
}

}  // namespace cuda
}  // namespace dash
