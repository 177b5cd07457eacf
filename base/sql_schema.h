// A schema that all statements write by one name, and that has another one in a session. Pure.
#pragma once

#include <string>
#include <string_view>

namespace pgduet {

// Both empty: statements are sent as they are written.
struct SchemaName {
  std::string written;  // in statements: "pgduet"
  std::string meant;    // in this session: "pgduet_orders"; must need no quotes
};

// The statement with `name.meant` wherever `name.written` qualifies a name. Literals, quoted names
// and comments stay as they are: what users chose is quoted in every statement.
std::string WithSchema(std::string_view sql, const SchemaName& name);

}  // namespace pgduet
