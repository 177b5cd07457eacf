#include "agent/http_server.h"

#include <thread>

#include <fmt/format.h>
#include <httplib.h>
#include <nlohmann/json.hpp>
#include <prometheus/text_serializer.h>

#include "base/named_error.h"
#include "base/thread_name.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

class Server : public HttpServer {
 public:
  Server(const HttpCallbacks& callbacks, prometheus::Registry& registry) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(2); };
    server_.Get("/metrics", [&registry](const httplib::Request&, httplib::Response& response) {
      response.set_content(prometheus::TextSerializer().Serialize(registry.Collect()),
                           "text/plain; version=0.0.4");
    });
    server_.Get("/livez", [callbacks](const httplib::Request&, httplib::Response& response) {
      Answer(response, callbacks.alive(), "alive", "a thread makes no progress");
    });
    server_.Get("/readyz", [callbacks](const httplib::Request&, httplib::Response& response) {
      Answer(response, callbacks.ready(), "ready", "not every stream runs; see /status");
    });
    server_.Get("/status", [callbacks](const httplib::Request&, httplib::Response& response) {
      response.set_content(StatusToJson(callbacks.status()), "application/json");
    });
  }
  ~Server() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  bool Listen(const std::string& host, int port) {
    // The library's default shares a taken port (SO_REUSEPORT): half of the questions would go to
    // another agent.
    server_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    if (!server_.bind_to_port(host.c_str(), port)) return false;
    thread_ = std::thread([this] {
      NameThisThread("http");
      server_.listen_after_bind();
    });
    return true;
  }

 private:
  static void Answer(httplib::Response& response, bool good, const char* yes, const char* no) {
    response.status = good ? 200 : 503;
    response.set_content(std::string(good ? yes : no) + "\n", "text/plain");
  }
  httplib::Server server_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address,
                                                              const HttpCallbacks& callbacks,
                                                              prometheus::Registry& registry) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  const int port = colon == std::string::npos ? 0 : std::atoi(address.c_str() + colon + 1);
  auto server = std::make_unique<Server>(callbacks, registry);
  if (port <= 0 || !server->Listen(host, port)) {
    return NamedError(absl::StatusCode::kFailedPrecondition, "http_address_refused",
                      fmt::format("cannot listen for HTTP: address={}", address),
                      "Another process uses the port, or the address is not of this host: change "
                      "the region's http setting.");
  }
  return server;
}

std::string StatusToJson(const AgentStatus& status) {
  nlohmann::ordered_json json = {
      {"group", status.group}, {"region", status.region},   {"transport", status.transport},
      {"state", status.state}, {"version", PGDUET_VERSION}, {"tombstones", status.tombstones}};
  if (status.set != kMainSet) json["set"] = status.set;
  if (!status.error.empty()) {
    json["error"] = status.error;
    json["message"] = status.message;
    json["remedy"] = status.remedy;
  }
  json["streams"] = nlohmann::ordered_json::array();
  for (const StreamStatus& stream : status.streams) {
    nlohmann::ordered_json one = {{"name", stream.name},
                                  {"state", stream.state},
                                  {"error", stream.error},
                                  {"message", stream.message},
                                  {"remedy", stream.remedy},
                                  {"sequence", stream.sequence},
                                  {"commit_lsn", stream.commit_lsn}};
    if (stream.name == "capture") {
      one["through_lsn"] = stream.through_lsn;
      one["confirmed_lsn"] = stream.confirmed_lsn;
    } else {
      one["log_offset"] = stream.log_offset;
      one["lag_seconds"] = stream.lag_seconds;
      one["heartbeat_age_seconds"] = stream.heartbeat_age_seconds;
    }
    json["streams"].push_back(std::move(one));
  }
  // A message may quote what a server said; bytes that are not UTF-8 must not end the answer.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace pgduet
