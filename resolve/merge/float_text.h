// The floating-point number nearest to an exact decimal, in PostgreSQL's words (float4out and
// float8out with extra_float_digits above 0: the shortest text that is read back as the same
// number, and never one halfway to a neighbour). Pure.
#pragma once

#include <optional>
#include <string>

#include "resolve/merge/decimal.h"

namespace pgduet {

// `bits`: 32 (real) or 64 (double precision). Ties go to the even number, as everywhere. A number
// too small for the type is 0. The caller has seen to its bounds (SetBounds in
// apply/policy_tables.cc); empty: it is beyond them.
std::optional<std::string> NearestFloat(const Decimal& number, int bits);

}  // namespace pgduet
