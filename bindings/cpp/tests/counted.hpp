// Counts the objects that live, moved-from ones left out: what a callable owns is destroyed once, and not too late.
#ifndef WSSTREAM_CPP_TESTS_COUNTED_HPP
#define WSSTREAM_CPP_TESTS_COUNTED_HPP

#include <utility>

#include "check.hpp"

namespace check {

class lives {
 public:
  int alive() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return alive_;
  }
  void await_none() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return alive_ == 0; });
  }
  void add(int change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    alive_ += change;
    CHECK(alive_ >= 0);
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int alive_ = 0;
};

class counted {
 public:
  explicit counted(lives& of) : lives_(&of) { of.add(1); }
  counted(counted&& other) noexcept : lives_(std::exchange(other.lives_, nullptr)) {}
  counted& operator=(counted&&) = delete;
  ~counted() {
    if (lives_ != nullptr) lives_->add(-1);
  }

 private:
  lives* lives_;
};

}  // namespace check

#endif
