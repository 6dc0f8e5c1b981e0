#!/usr/bin/env bash
# The objects of the hot path (receive to durable acknowledgement) refer to no allocator, no exception
# and no lock.
#
#   check_hot_path.sh BUILD_DIRECTORY OBJECT...     names as the compiler's outputs end: batch.cc.o
#
# An object that matches nothing is an error: a renamed file must not leave the list unseen.
set -u
build="$1"
shift
forbidden='operator new|operator delete|\b(malloc|calloc|realloc|free|posix_memalign|aligned_alloc)$|__cxa_throw|__cxa_allocate_exception|std::__throw_|pthread_mutex_|pthread_cond_|std::mutex|std::condition_variable'
status=0
for name in "$@"; do
  object=$(find "$build" -path "*$name" -not -path '*/tests/*' | head -n 1)
  if [ -z "$object" ]; then
    echo "$name: no such object in $build"
    status=1
    continue
  fi
  found=$(nm -C -u "$object" | grep -E "$forbidden")
  if [ -n "$found" ]; then
    printf '%s refers to:\n%s\n' "$name" "$found"
    status=1
  fi
done
[ $status = 0 ] && echo "hot path: $# objects are free of allocation, exceptions and locks"
exit $status
