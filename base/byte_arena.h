// Append-only storage for many small byte strings that die together. Views stay valid until the
// arena dies or is cleared; moving the arena keeps them. Not thread-safe.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace pgduet {

class ByteArena {
 public:
  static constexpr size_t kFirstBlockBytes = 1024;
  static constexpr size_t kBlockBytes = 64 * 1024;

  ByteArena() = default;
  ByteArena(ByteArena&& other) noexcept { *this = std::move(other); }
  // Leaves the other one empty: what it takes afterwards must not land in our blocks.
  ByteArena& operator=(ByteArena&& other) noexcept {
    blocks_ = std::exchange(other.blocks_, {});
    next_ = std::exchange(other.next_, nullptr);
    free_ = std::exchange(other.free_, 0);
    used_ = std::exchange(other.used_, 0);
    return *this;
  }

  std::string_view Append(std::string_view bytes) {
    if (bytes.size() > free_) Grow(bytes.size());
    char* at = next_;
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    next_ += bytes.size();
    free_ -= bytes.size();
    used_ += bytes.size();
    return {at, bytes.size()};
  }
  size_t used_bytes() const { return used_; }

 private:
  void Grow(size_t at_least) {
    // Most arenas stay small: one that grows takes larger blocks.
    const size_t block = blocks_.empty() ? kFirstBlockBytes : kBlockBytes;
    const size_t size = at_least > block ? at_least : block;
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    next_ = blocks_.back().get();
    free_ = size;
  }
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  size_t free_ = 0;
  size_t used_ = 0;
};

}  // namespace pgduet
