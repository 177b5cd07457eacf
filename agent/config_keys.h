// Which keys stand where in the file, and what to say about those that do not. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pgduet {

// Of the settings' table (config_settings.h), directly under this path.
std::vector<std::string_view> KeysUnder(std::string_view path);
// A setting of the design that a later version will have.
bool IsLaterKey(std::string_view path);
// "did you mean 'transport'?", or all that are known.
std::string KeyRemedy(std::string_view key, const std::vector<std::string_view>& known);

}  // namespace pgduet
