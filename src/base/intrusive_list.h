// A list through its own elements: joining and leaving cost no allocation and no search.
//
// Owner      one core. An element is in at most one list per link; the list owns nothing
#pragma once

#include "base/assert.h"

namespace penstock::base {

template <class T>
struct ListLink {
  T* previous = nullptr;
  T* next = nullptr;
  bool linked = false;
};

template <class T, ListLink<T> T::* kLink>
class IntrusiveList {
 public:
  [[nodiscard]] bool empty() const { return front_ == nullptr; }
  [[nodiscard]] T* front() const { return front_; }
  [[nodiscard]] static bool contains(const T& element) { return (element.*kLink).linked; }

  void push_back(T& element) {
    ListLink<T>& link = element.*kLink;
    PENSTOCK_ASSERT(!link.linked);
    link = {.previous = back_, .next = nullptr, .linked = true};
    (back_ != nullptr ? (back_->*kLink).next : front_) = &element;
    back_ = &element;
  }

  void remove(T& element) {
    ListLink<T>& link = element.*kLink;
    PENSTOCK_ASSERT(link.linked);
    (link.previous != nullptr ? (link.previous->*kLink).next : front_) = link.next;
    (link.next != nullptr ? (link.next->*kLink).previous : back_) = link.previous;
    link = {};
  }

  T* pop_front() {
    T* element = front_;
    if (element != nullptr) remove(*element);
    return element;
  }

 private:
  T* front_ = nullptr;
  T* back_ = nullptr;
};

}  // namespace penstock::base
