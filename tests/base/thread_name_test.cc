#include "base/thread_name.h"

#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <pthread.h>

namespace pgduet {
namespace {

TEST(ThreadNameTest, NamesTheThreadThatCallsAndNoOther) {
  char before[32], here[32];
  pthread_getname_np(pthread_self(), before, sizeof before);
  std::string there;
  std::jthread([&] {
    NameThisThread("apply east");
    char name[32];
    pthread_getname_np(pthread_self(), name, sizeof name);
    there = name;
  }).join();
  pthread_getname_np(pthread_self(), here, sizeof here);
  EXPECT_EQ(there, "apply east");
  EXPECT_STREQ(here, before);
}

}  // namespace
}  // namespace pgduet
