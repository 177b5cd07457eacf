#include <csignal>
#include <cstdlib>
#include <fstream>

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <unistd.h>

#ifdef PGDUET_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "agent/commands/commands.h"
#include "agent/http_server.h"
#include "agent/region_agent.h"
#include "base/log.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

void NotifySystemd([[maybe_unused]] const std::string& state) {
#ifdef PGDUET_HAVE_SYSTEMD
  sd_notify(0, state.c_str());
#endif
}

LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  return LogLevel::kInfo;
}

// Blocks the signals in all threads that start later; the caller waits for them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double whole_pages = 0, resident_pages = 0;
  statm >> whole_pages >> resident_pages;
  return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// The port may still be held by an agent that is just ending.
absl::StatusOr<std::unique_ptr<HttpServer>> StartHttp(const std::string& address,
                                                      const HttpCallbacks& callbacks,
                                                      prometheus::Registry& registry) {
  absl::StatusOr<std::unique_ptr<HttpServer>> server =
      HttpServer::Start(address, callbacks, registry);
  for (int attempt = 0; attempt < 20 && !server.ok(); ++attempt) {
    absl::SleepFor(absl::Milliseconds(250));
    server = HttpServer::Start(address, callbacks, registry);
  }
  return server;
}

// Until SIGTERM or SIGINT; tells systemd and Prometheus how we are every second.
void ServeUntilStopped(const RegionAgent& agent, const sigset_t& signals,
                       prometheus::Gauge& resident_bytes) {
  bool told_ready = false;
  const timespec second{.tv_sec = 1, .tv_nsec = 0};
  while (sigtimedwait(&signals, nullptr, &second) < 0) {
    resident_bytes.Set(ResidentBytes());
    const AgentStatus status = agent.Status();
    if (agent.Ready() && !told_ready) {
      NotifySystemd("READY=1");
      told_ready = true;
    }
    NotifySystemd(fmt::format("STATUS={}", status.state));
    if (agent.Alive()) NotifySystemd("WATCHDOG=1");
  }
}

}  // namespace

int RunAgent(const Invocation& invocation, const AgentOptions& options) {
  const sigset_t signals = BlockStopSignals();
  ConfigureLog(options.log_format == "json" ? LogFormat::kJson : LogFormat::kLogfmt,
               LevelOf(options.log_level), invocation.region,
               invocation.config.set == kMainSet ? "" : invocation.config.set);
  prometheus::Registry registry;
  prometheus::BuildGauge()
      .Name("pgduet_build_info")
      .Help("1; the version is the label.")
      .Register(registry)
      .Add({{"version", PGDUET_VERSION}})
      .Set(1);
  prometheus::Gauge& resident_bytes = prometheus::BuildGauge()
                                          .Name("process_resident_memory_bytes")
                                          .Help("Resident memory of the agent.")
                                          .Register(registry)
                                          .Add({});
  resident_bytes.Set(ResidentBytes());
  absl::StatusOr<std::unique_ptr<RegionAgent>> agent =
      RegionAgent::Create(invocation.config, invocation.region, registry);
  if (!agent.ok()) return Fail(agent.status());
  std::unique_ptr<HttpServer> http;
  if (invocation.self().http != "off") {
    const RegionAgent& running = **agent;
    absl::StatusOr<std::unique_ptr<HttpServer>> started =
        StartHttp(invocation.self().http,
                  {.status = [&running] { return running.Status(); },
                   .alive = [&running] { return running.Alive(); },
                   .ready = [&running] { return running.Ready(); }},
                  registry);
    if (!started.ok()) return Fail(started.status());
    http = *std::move(started);
  }
  LogInfo("agent", "started",
          {{"version", PGDUET_VERSION},
           {"group", invocation.config.group},
           {"http", invocation.self().http}});
  if (absl::Status status = (*agent)->Start(); !status.ok()) return Fail(status);
  ServeUntilStopped(**agent, signals, resident_bytes);
  NotifySystemd("STOPPING=1");
  LogInfo("agent", "stopping");
  (*agent)->Stop();
  http.reset();
  LogInfo("agent", "stopped");
  return kExitOk;
}

}  // namespace pgduet
