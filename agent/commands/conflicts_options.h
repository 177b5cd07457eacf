// `pgduet conflicts ...` on the command line.
//
// Holds what the options say, so it must live until the command line has been parsed.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

#include "agent/commands/commands.h"

namespace pgduet {

class ConflictsOptions {
 public:
  // A command that needs one region, as a callback of the command line.
  using WithRegion =
      std::function<std::function<void()>(std::function<int(const Invocation&)> command)>;
  void AddTo(CLI::App& app, const WithRegion& with_region);

 private:
  void AddList(CLI::App& conflicts, const WithRegion& with_region);
  void AddShow(CLI::App& conflicts, const WithRegion& with_region);
  void AddDismiss(CLI::App& conflicts, const WithRegion& with_region);
  void AddUndo(CLI::App& conflicts, const WithRegion& with_region);
  void AddReplay(CLI::App& conflicts, const WithRegion& with_region);

  ConflictFilter list_;
  int64_t show_id_ = 0;
  DismissOptions dismiss_;
  UndoOptions undo_;
  ReplayOptions replay_;
};

}  // namespace pgduet
