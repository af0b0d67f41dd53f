// The standard containers, asking less of the C++ library: the standard allocator calls a function
// that libstdc++ has since GCC 11 only, and a wheel built with it would not load on older systems.
#pragma once

#include <cstddef>
#include <deque>
#include <new>
#include <vector>

namespace prunelimits {
namespace {

template <class T>
struct Allocator {
  using value_type = T;
  Allocator() = default;
  template <class Other>
  Allocator(const Allocator<Other>&) {}
  // The containers check `count` against the most there can be.
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T))); }
  void deallocate(T* place, size_t) { ::operator delete(place); }
  template <class Other>
  bool operator==(const Allocator<Other>&) const { return true; }
  template <class Other>
  bool operator!=(const Allocator<Other>&) const { return false; }
};

template <class T>
using List = std::vector<T, Allocator<T>>;

template <class T>
using Queue = std::deque<T, Allocator<T>>;

}  // namespace
}  // namespace prunelimits
