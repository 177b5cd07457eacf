// A PostgreSQL server for error tests: speaks as much of protocol 3 as libpq needs to connect, and
// answers every query with the error it was told. What a real server raises only under rare
// conditions can be had at once.
#pragma once

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace pgduet {

class ScriptedServer {
 public:
  // Fields of an ErrorResponse: "C40001", "Mtext"; none: the connection is closed instead of an
  // answer.
  explicit ScriptedServer(std::vector<std::string> fields) : fields_(std::move(fields)) {
    char folder[] = "/tmp/pd-unit-XXXXXX";
    if (mkdtemp(folder) == nullptr) std::abort();
    folder_ = folder;
    listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, (folder_ + "/.s.PGSQL.5432").c_str(),
                 sizeof address.sun_path - 1);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener_, 1) != 0)
      std::abort();
    thread_ = std::jthread([this] { Serve(); });
  }
  ~ScriptedServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
    std::filesystem::remove_all(folder_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string conninfo() const {
    return "host=" + folder_ + " port=5432 dbname=shop user=u password=secret";
  }

 private:
  void Serve() {
    const int client = accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    // The startup packet has no type byte.
    if (!ReadPacket(client)) return (void)close(client);
    Send(client, Message('R', std::string(4, '\0')) + Message('Z', "I"));
    char type = 0;
    while (recv(client, &type, 1, MSG_WAITALL) == 1 && ReadPacket(client) && type != 'X' &&
           !fields_.empty()) {
      std::string body;
      for (const std::string& field : fields_) body += field + '\0';
      Send(client, Message('E', body + '\0') + Message('Z', "I"));
    }
    close(client);
  }

  static std::string Message(char type, const std::string& body) {
    const auto size = static_cast<uint32_t>(body.size() + 4);
    std::string bytes(1, type);
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(size >> shift));
    return bytes + body;
  }
  static void Send(int client, const std::string& bytes) {
    (void)!send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  static bool ReadPacket(int client) {
    unsigned char size[4];
    if (recv(client, size, 4, MSG_WAITALL) != 4) return false;
    std::string rest((size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3]) - 4, '\0');
    return recv(client, rest.data(), rest.size(), MSG_WAITALL) == static_cast<ssize_t>(rest.size());
  }

  const std::vector<std::string> fields_;
  std::string folder_;
  int listener_ = -1;
  std::jthread thread_;
};

}  // namespace pgduet
