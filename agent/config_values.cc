#include "agent/config_values.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <memory>

#include <fmt/format.h>
#include <libpq-fe.h>

namespace pgduet {
namespace {

struct DurationUnit {
  std::string_view name;
  absl::Duration size;
};

// Longest names first where one begins another.
const std::array<DurationUnit, 5> kUnits = {{{"ms", absl::Milliseconds(1)},
                                             {"d", absl::Hours(24)},
                                             {"h", absl::Hours(1)},
                                             {"m", absl::Minutes(1)},
                                             {"s", absl::Seconds(1)}}};

struct ConninfoDeleter {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using ConninfoOptions = std::unique_ptr<PQconninfoOption, ConninfoDeleter>;

ConninfoOptions ParseConninfo(const std::string& conninfo, std::string* message) {
  char* error = nullptr;
  ConninfoOptions options(PQconninfoParse(conninfo.c_str(), &error));
  if (error != nullptr) {
    if (message != nullptr) *message = error;
    PQfreemem(error);
  }
  return options;
}

bool IsSecretKeyword(const PQconninfoOption& option) {
  return option.dispchar[0] == '*' || std::string_view(option.keyword) == "sslpassword" ||
         std::string_view(option.keyword) == "scram_client_key";
}

bool IsPlainNameByte(unsigned char byte, bool first) {
  if (byte >= 'a' && byte <= 'z') return true;
  if (byte == '_' || byte >= 0x80) return true;
  return !first && ((byte >= '0' && byte <= '9') || byte == '$');
}

// Takes one identifier off the front of `text`; the message is empty when that went well.
std::string TakeIdentifier(std::string_view& text, std::string& name) {
  name.clear();
  if (text.empty()) return "a name is missing";
  if (text.front() != '"') {
    size_t end = 0;
    while (end < text.size() && IsPlainNameByte(text[end], end == 0)) ++end;
    if (end == 0 || (end < text.size() && text[end] != '.')) {
      return "a name with upper-case letters, dots or other signs must be in double quotes";
    }
    name = text.substr(0, end);
    text.remove_prefix(end);
    return "";
  }
  for (size_t at = 1; at < text.size(); ++at) {
    if (text[at] != '"') {
      name += text[at];
    } else if (at + 1 < text.size() && text[at + 1] == '"') {
      name += '"';
      ++at;
    } else {
      text.remove_prefix(at + 1);
      return name.empty() ? "a quoted name is empty" : "";
    }
  }
  return "a double quote is not closed";
}

bool IsVariableName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char byte) {
    return byte == '_' || (byte < 0x80 && std::isalnum(byte) != 0);
  });
}

}  // namespace

std::optional<absl::Duration> ParseDurationText(std::string_view text) {
  if (text.empty()) return std::nullopt;
  absl::Duration sum;
  while (!text.empty()) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0) return std::nullopt;
    text.remove_prefix(end - text.data());
    const auto unit =
        std::find_if(kUnits.begin(), kUnits.end(), [&](const DurationUnit& candidate) {
          return text.substr(0, candidate.name.size()) == candidate.name;
        });
    if (unit == kUnits.end()) return std::nullopt;
    text.remove_prefix(unit->name.size());
    sum += number * unit->size;
  }
  return sum;
}

std::string DurationText(absl::Duration duration) {
  constexpr std::array<std::string_view, 5> kOrder = {"d", "h", "m", "s", "ms"};
  std::string text;
  for (std::string_view name : kOrder) {
    const auto unit =
        std::find_if(kUnits.begin(), kUnits.end(),
                     [&](const DurationUnit& candidate) { return candidate.name == name; });
    const int64_t count = absl::IDivDuration(duration, unit->size, &duration);
    if (count > 0) text += fmt::format("{}{}", count, name);
  }
  return text.empty() ? "0s" : text;
}

TableNameText ParseTableName(std::string_view text) {
  TableNameText result;
  result.fault = TakeIdentifier(text, result.schema);
  if (!result.fault.empty()) return result;
  if (text.empty() || text.front() != '.') {
    result.fault = "the schema is missing";
    return result;
  }
  text.remove_prefix(1);
  result.fault = TakeIdentifier(text, result.name);
  if (result.fault.empty() && !text.empty()) result.fault = "it has more than two parts";
  if (result.fault.empty() && (result.schema.size() > 63 || result.name.size() > 63)) {
    result.fault = "a name is longer than 63 bytes";
  }
  if (result.fault.empty() && (result.schema + result.name).find('\0') != std::string::npos) {
    result.fault = "a name holds a NUL byte";
  }
  return result;
}

bool IsNameText(std::string_view text, bool underscore) {
  if (text.empty() || text.size() > 32) return false;
  return std::all_of(text.begin(), text.end(), [&](char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           (underscore && byte == '_');
  });
}

std::optional<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  HostPort result{std::string(text.substr(0, colon)), 0};
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (error != std::errc() || end != port.data() + port.size()) return std::nullopt;
  if (result.port < 1 || result.port > 65'535) return std::nullopt;
  if (result.host.front() == '[' && result.host.back() == ']') {
    result.host = result.host.substr(1, result.host.size() - 2);
  } else if (result.host.find(':') != std::string::npos) {
    return std::nullopt;
  }
  if (result.host.empty()) return std::nullopt;
  return result;
}

std::string ConninfoFault(const std::string& conninfo) {
  std::string message;
  const ConninfoOptions options = ParseConninfo(conninfo, &message);
  if (options == nullptr) {
    // libpq's other messages quote parts of the text, which may be a password.
    if (message.starts_with("invalid connection option")) {
      while (!message.empty() && message.back() == '\n') message.pop_back();
      return message;
    }
    return "it is not a libpq connection string";
  }
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view keyword = option->keyword;
    if (keyword == "replication") return "it must not set 'replication'";
    if (keyword == "client_encoding") return "it must not set 'client_encoding': pgduet uses UTF8";
  }
  return ConninfoValue(conninfo, "dbname").empty() ? "it names no database" : "";
}

std::string MaskConninfo(const std::string& conninfo) {
  const ConninfoOptions options = ParseConninfo(conninfo, nullptr);
  if (options == nullptr) return "***";
  std::string text;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    if (!text.empty()) text += ' ';
    const bool secret = IsSecretKeyword(*option) && option->val[0] != '\0';
    text += fmt::format("{}={}", option->keyword, secret ? "***" : option->val);
  }
  return text;
}

std::string ConninfoValue(const std::string& conninfo, std::string_view keyword) {
  const ConninfoOptions options = ParseConninfo(conninfo, nullptr);
  if (options == nullptr) return "";
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->keyword == keyword && option->val != nullptr) return option->val;
  }
  return "";
}

std::string ConninfoTarget(const std::string& conninfo) {
  std::string host = ConninfoValue(conninfo, "host");
  if (host.empty()) host = ConninfoValue(conninfo, "hostaddr");
  std::string port = ConninfoValue(conninfo, "port");
  if (port.empty()) port = "5432";
  return fmt::format("{}:{}/{}", host, port, ConninfoValue(conninfo, "dbname"));
}

Substituted SubstituteEnvironment(std::string_view text, const Environment& environment) {
  Substituted result;
  while (!text.empty()) {
    if (text.starts_with("$${")) {
      result.text += "${";
      text.remove_prefix(3);
      continue;
    }
    if (!text.starts_with("${")) {
      result.text += text.front();
      text.remove_prefix(1);
      continue;
    }
    const size_t end = text.find('}');
    if (end == std::string_view::npos) {
      result.fault = "a '${' is not closed";
      return result;
    }
    const std::string_view inside = text.substr(2, end - 2);
    const size_t fallback = inside.find(":-");
    const std::string name(inside.substr(0, fallback));
    text.remove_prefix(end + 1);
    if (!IsVariableName(name)) {
      result.fault = "a '${...}' holds no variable name";
      return result;
    }
    const std::optional<std::string> value = environment(name);
    // As in a shell, ':-' also replaces an empty value.
    if (fallback != std::string_view::npos && value.value_or("").empty()) {
      result.text += inside.substr(fallback + 2);
    } else if (value.has_value()) {
      result.text += *value;
    } else {
      result.fault = fmt::format("the environment variable {} is not set", name);
      return result;
    }
  }
  return result;
}

}  // namespace pgduet
