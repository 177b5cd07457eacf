// The options of policy, siblings and resolve. Lives as long as the command line is parsed and run.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

#include "agent/commands/commands.h"

namespace pgduet {

class PolicyOptions {
 public:
  // Makes the callback of a command that needs a region.
  using WithRegion =
      std::function<std::function<void()>(std::function<int(const Invocation&)> command)>;
  // `show`: policy show needs the file alone.
  void AddTo(CLI::App& app, const WithRegion& with_region, std::function<void()> show);

 private:
  void AddPolicy(CLI::App& app, const WithRegion& with_region, std::function<void()> show);
  void AddApply(CLI::App& policy, const WithRegion& with_region);
  void AddSiblings(CLI::App& app, const WithRegion& with_region);
  void AddResolve(CLI::App& app, const WithRegion& with_region);

  FunctionTestOptions test_;
  PolicyApplyOptions apply_;
  SiblingsOptions siblings_;
  ResolveOptions resolve_;
};

}  // namespace pgduet
