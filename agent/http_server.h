// The agent's HTTP: /metrics, /livez, /readyz, /status. One port, loopback by default; read-only,
// no row values.
//
// Threads: httplib's own; the callbacks are called from them and must be thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <prometheus/registry.h>

#include "agent/agent_status.h"

namespace pgduet {

struct HttpCallbacks {
  std::function<AgentStatus()> status;
  std::function<bool()> alive;
  std::function<bool()> ready;
};

class HttpServer {
 public:
  // `address`: "host:port". Errors: http_address_refused.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address,
                                                           const HttpCallbacks& callbacks,
                                                           prometheus::Registry& registry);
  virtual ~HttpServer() = default;
};

// The JSON of /status; `pgduet status --json` shows the same.
std::string StatusToJson(const AgentStatus& status);

}  // namespace pgduet
