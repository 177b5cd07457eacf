#include <fmt/format.h>

#include "agent/commands/commands.h"
#include "agent/setup/region_setup.h"

namespace pgduet {

int RunInit(const Invocation& invocation, const InitOptions& options) {
  const absl::Status status =
      RegionSetup(invocation.config, invocation.self(), options.dry_run).Run();
  if (!status.ok()) return Fail(status);
  if (!options.dry_run)
    fmt::print("region {} is set up; start its agent with: pgduet agent\n", invocation.region);
  return kExitOk;
}

}  // namespace pgduet
