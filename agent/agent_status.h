// What the running agent knows about itself, for /status, `pgduet status` and the probes. A value.
#pragma once

#include <string>
#include <vector>

namespace pgduet {

struct StreamStatus {
  std::string name;   // "capture", or the origin's region name
  std::string state;  // starting, streaming, running, holding, reconnecting, stopped, ended
  std::string error;  // name of the error that interrupted it; empty: none
  std::string message;
  std::string remedy;
  uint64_t sequence = 0;    // last published or applied transaction
  std::string commit_lsn;   // its commit LSN at its origin
  std::string through_lsn;  // capture: decoded up to here; confirmed_lsn: the slot
  std::string confirmed_lsn;
  int64_t log_offset = -1;            // applied streams
  double lag_seconds = 0;             // age of what is in effect here (applied streams)
  double heartbeat_age_seconds = -1;  // -1: none yet
};

struct AgentStatus {
  std::string group;
  std::string set;
  std::string region;
  std::string transport;
  std::string state;  // starting, running, degraded (a stream is stopped or reconnecting), stopping
  std::string error;  // why it does not start yet
  std::string message;
  std::string remedy;
  std::vector<StreamStatus> streams;
  uint64_t tombstones = 0;
};

}  // namespace pgduet
