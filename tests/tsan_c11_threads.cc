// For ThreadSanitizer builds only. librdkafka starts its threads with C11's thrd_create, which GCC's
// ThreadSanitizer does not know: our callbacks on such a thread end in a segmentation fault. These
// come before the C library's and go through pthread_create, which it knows.
#include <pthread.h>
#include <threads.h>

#include <cstdint>
#include <memory>

namespace {

struct Start {
  thrd_start_t function;
  void* argument;
};

void* Run(void* packed) {
  const std::unique_ptr<Start> start(static_cast<Start*>(packed));
  return reinterpret_cast<void*>(static_cast<intptr_t>(start->function(start->argument)));
}

}  // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) noexcept {
  auto start = std::make_unique<Start>(Start{function, argument});
  if (pthread_create(thread, nullptr, Run, start.get()) != 0) return thrd_error;
  start.release();
  return thrd_success;
}

int thrd_join(thrd_t thread, int* result) noexcept {
  void* returned = nullptr;
  if (pthread_join(thread, &returned) != 0) return thrd_error;
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<intptr_t>(returned));
  return thrd_success;
}

}  // extern "C"
