#include "agent/policy_change_metrics.h"

namespace pgduet {

PolicyChangeMetrics::PolicyChangeMetrics(prometheus::Registry& registry)
    : gate_(prometheus::BuildGauge()
                .Name("pgduet_policy_gate_closed")
                .Help("1 while writes of tables whose policy is being changed wait here.")
                .Register(registry)
                .Add({})),
      file_differs_(prometheus::BuildGauge()
                        .Name("pgduet_policy_file_differs")
                        .Help("1 when the agent's file has not the policies that are in force.")
                        .Register(registry)
                        .Add({})),
      changes_(prometheus::BuildCounter()
                   .Name("pgduet_policy_changes_total")
                   .Help("Changes of policies that ended in this region, by result.")
                   .Register(registry)),
      applied_(changes_.Add({{"result", "applied"}})),
      aborted_(changes_.Add({{"result", "aborted"}})) {}

}  // namespace pgduet
