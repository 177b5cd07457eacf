// What a decision costs: last write wins, and a merge of counters.
#include <benchmark/benchmark.h>

#include "resolve/last_write_wins.h"
#include "resolve/row_engine.h"

namespace pgduet::micro {
namespace {

constexpr Incarnation kIncarnation = 7;

void DecideByLastWriteWins(benchmark::State& state) {
  const Version remote{.commit_time = 1000, .rank = 1, .commit_lsn = Lsn(77)};
  LocalState local{.kind = LocalState::Kind::kLive,
                   .version = {.commit_time = 999, .rank = 0, .commit_lsn = Lsn(5)}};
  for (auto _ : state) {
    local.version.commit_time ^= 2;
    benchmark::DoNotOptimize(local);
    benchmark::DoNotOptimize(LastWriteWins(ChangeKind::kUpdate, remote, local));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

// Two regions add to one counter and have not seen each other; a column besides is the newest's.
void MergeConcurrentCounters(benchmark::State& state) {
  RowShape shape;
  shape.policy.kind = PolicyKind::kMerge;
  shape.columns = {{.name = "id"}, {.name = "n", .kind = ColumnKind::kCounter}, {.name = "note"}};
  const RowEngine engine(shape);
  const auto row = [](const char* n, const char* note) {
    return RowImage{Cell::Text("1"), Cell::Text(n), Cell::Text(note)};
  };
  const auto seen = [](Rank rank, uint64_t lsn) {
    AppliedVector vector;
    vector.Set(0, {.incarnation = kIncarnation, .sequence = 1, .commit_lsn = Lsn(1)});
    vector.Set(rank, {.incarnation = kIncarnation, .sequence = lsn, .commit_lsn = Lsn(lsn)});
    return vector;
  };
  const AppliedVector base = seen(0, 1), here = seen(0, 2), there = seen(1, 1), stable;
  const auto write = [](const AppliedVector& vector, Rank rank, uint64_t lsn, ChangeKind kind,
                        RowImage before, RowImage after) {
    return RowWrite{.dot = {rank, kIncarnation, Lsn(lsn), static_cast<CommitTime>(lsn)},
                    .kind = kind,
                    .vector = &vector,
                    .old_row = std::move(before),
                    .new_row = std::move(after)};
  };
  const RowWrite first = write(base, 0, 1, ChangeKind::kInsert, {}, row("10", "a"));
  const RowWrite own = write(here, 0, 2, ChangeKind::kUpdate, row("10", "a"), row("11", "b"));
  const RowWrite other = write(there, 1, 1, ChangeKind::kUpdate, row("10", "a"), row("13", "c"));
  for (auto _ : state) {
    RowState known;
    std::optional<RowImage> visible;
    for (const RowWrite* one : {&first, &own, &other}) engine.Take(*one, stable, known, visible);
    benchmark::DoNotOptimize(visible);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * 3);
}

BENCHMARK(DecideByLastWriteWins);
BENCHMARK(MergeConcurrentCounters);

}  // namespace
}  // namespace pgduet::micro
