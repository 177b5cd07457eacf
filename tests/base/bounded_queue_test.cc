#include "base/bounded_queue.h"

#include <atomic>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);  // only a failure waits this long

TEST(BoundedQueueTest, ItemsComeInTheOrderOfTheirPushes) {
  BoundedQueue<int> queue(10);
  for (int item : {1, 2, 3}) EXPECT_TRUE(queue.Push(item, 1));
  EXPECT_EQ(queue.Pop(kLong), 1);
  EXPECT_EQ(queue.TryPop(), 2);
  EXPECT_EQ(queue.TryPop(), 3);
  EXPECT_EQ(queue.TryPop(), std::nullopt);
}

TEST(BoundedQueueTest, TheCostIsThatOfWhatIsQueued) {
  BoundedQueue<int> queue(10);
  queue.Push(1, 4);
  queue.Push(2, 5);
  EXPECT_EQ(queue.cost(), 9u);
  queue.TryPop();
  EXPECT_EQ(queue.cost(), 5u);
}

TEST(BoundedQueueTest, AnEmptyQueueGivesNothingWhenTheTimeIsOver) {
  BoundedQueue<int> queue(10);
  EXPECT_EQ(queue.Pop(absl::ZeroDuration()), std::nullopt);
  EXPECT_EQ(queue.Pop(absl::Milliseconds(1)), std::nullopt);
  EXPECT_FALSE(queue.closed());
}

TEST(BoundedQueueTest, AnItemDearerThanTheBoundIsLetIntoAnEmptyQueue) {
  BoundedQueue<int> queue(10);
  EXPECT_TRUE(queue.Push(1, 1000));
  EXPECT_EQ(queue.cost(), 1000u);
  EXPECT_EQ(queue.Pop(kLong), 1);
}

TEST(BoundedQueueTest, AFullQueueHoldsItsProducerUntilThereIsRoom) {
  BoundedQueue<int> queue(10);
  queue.Push(1, 10);
  std::atomic<bool> pushed = false;
  std::jthread producer([&] {
    queue.Push(2, 1);
    pushed = true;
  });
  // The producer can only go on after this pop.
  EXPECT_FALSE(pushed);
  EXPECT_EQ(queue.Pop(kLong), 1);
  EXPECT_EQ(queue.Pop(kLong), 2);
  producer.join();
  EXPECT_TRUE(pushed);
}

TEST(BoundedQueueTest, APopWaitsForAPushOfAnotherThread) {
  BoundedQueue<int> queue(10);
  std::jthread producer([&] { queue.Push(7, 1); });
  EXPECT_EQ(queue.Pop(kLong), 7);
}

TEST(BoundedQueueTest, CloseWakesAConsumerThatWaits) {
  BoundedQueue<int> queue(10);
  std::jthread closer([&] { queue.Close(); });
  EXPECT_EQ(queue.Pop(kLong), std::nullopt);
  EXPECT_TRUE(queue.closed());
}

TEST(BoundedQueueTest, CloseWakesAProducerThatWaitsAndDropsItsItem) {
  BoundedQueue<int> queue(10);
  queue.Push(1, 10);
  bool taken = true;
  std::jthread producer([&] { taken = queue.Push(2, 5); });
  queue.Close();
  producer.join();
  EXPECT_FALSE(taken);
}

TEST(BoundedQueueTest, WhatIsQueuedCanBePoppedAfterCloseAndNothingIsAdded) {
  BoundedQueue<int> queue(10);
  queue.Push(1, 1);
  queue.Close();
  EXPECT_FALSE(queue.Push(2, 1));
  EXPECT_EQ(queue.Pop(kLong), 1);
  EXPECT_EQ(queue.Pop(kLong), std::nullopt);
}

TEST(BoundedQueueTest, MoveOnlyItemsPassThroughTwoThreadsWholeAndWithinTheBound) {
  constexpr int kItems = 20'000;
  constexpr size_t kCostMax = 64;
  BoundedQueue<std::unique_ptr<int>> queue(kCostMax);
  std::jthread producer([&] {
    for (int i = 0; i < kItems; ++i) queue.Push(std::make_unique<int>(i), 1 + i % 7);
    queue.Close();
  });
  int expected = 0;
  while (auto item = queue.Pop(kLong)) {
    ASSERT_EQ(**item, expected++);
    ASSERT_LE(queue.cost(), kCostMax);
  }
  EXPECT_EQ(expected, kItems);
}

}  // namespace
}  // namespace pgduet
