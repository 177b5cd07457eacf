#include "base/byte_arena.h"

#include <string>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(ByteArenaTest, ViewsStayValidWhileItGrows) {
  ByteArena arena;
  std::vector<std::string_view> views;
  for (int i = 0; i < 30'000; ++i) views.push_back(arena.Append(std::to_string(i)));
  for (int i = 0; i < 30'000; ++i) ASSERT_EQ(views[i], std::to_string(i));
}

TEST(ByteArenaTest, BytesLargerThanABlockAreWhole) {
  ByteArena arena;
  const std::string large(3 * ByteArena::kBlockBytes + 1, 'x');
  const std::string_view before = arena.Append("before");
  const std::string_view view = arena.Append(large);
  const std::string_view after = arena.Append("after");
  EXPECT_EQ(view, large);
  EXPECT_EQ(before, "before");
  EXPECT_EQ(after, "after");
  EXPECT_EQ(arena.used_bytes(), large.size() + 11);
}

TEST(ByteArenaTest, NothingTakesNoRoom) {
  ByteArena arena;
  EXPECT_EQ(arena.Append("").size(), 0u);
  EXPECT_EQ(arena.used_bytes(), 0u);
}

TEST(ByteArenaTest, ZeroBytesAreBytes) {
  ByteArena arena;
  EXPECT_EQ(arena.Append(std::string_view("a\0b", 3)), std::string_view("a\0b", 3));
}

TEST(ByteArenaTest, MovingKeepsTheViewsAndLeavesAnEmptyArena) {
  ByteArena from;
  const std::string_view view = from.Append("kept");
  ByteArena to = std::move(from);
  EXPECT_EQ(view, "kept");
  EXPECT_EQ(to.used_bytes(), 4u);
  // What the old one takes from now on is its own, not the other's.
  EXPECT_EQ(from.used_bytes(), 0u);  // NOLINT(bugprone-use-after-move): this is the question
  const std::string_view second = from.Append("mine");
  const std::string_view third = to.Append("yours");
  EXPECT_EQ(second, "mine");
  EXPECT_EQ(third, "yours");
  EXPECT_EQ(view, "kept");
}

}  // namespace
}  // namespace pgduet
