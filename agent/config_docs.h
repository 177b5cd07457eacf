// docs/configuration.md, made from the table of settings (config_settings.h).
#pragma once

#include <string>

namespace pgduet {

std::string ConfigurationReference();

}  // namespace pgduet
