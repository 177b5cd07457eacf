#include "resolve/row_state.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/named_error.h"

namespace pgduet {
namespace {

using Json = nlohmann::json;

Json ToJson(const Dot& dot) {
  return {dot.rank, IncarnationToString(dot.incarnation), dot.lsn.ToString(), dot.time};
}

Dot DotIn(const Json& json) {
  return {.rank = json.at(0).get<Rank>(),
          .incarnation = std::strtoull(json.at(1).get<std::string>().c_str(), nullptr, 16),
          .lsn = Lsn::Parse(json.at(2).get<std::string>()).value_or(Lsn()),
          .time = json.at(3).get<CommitTime>()};
}

// A cell that is not known is left out by its owner.
Json ToJson(const Cell& cell) {
  return cell.kind == Cell::Kind::kText ? Json(cell.text) : Json(nullptr);
}

Cell CellIn(const Json& json) {
  return json.is_null() ? Cell::Null() : Cell::Text(json.get<std::string>());
}

Json ToJson(const RowImage& row, const std::vector<std::string>& names) {
  Json json = Json::object();
  for (size_t column = 0; column < row.size() && column < names.size(); ++column) {
    if (row[column].known()) json[names[column]] = ToJson(row[column]);
  }
  return json;
}

RowImage RowIn(const Json& json, const std::vector<std::string>& names) {
  RowImage row(names.size());
  for (size_t column = 0; column < names.size(); ++column) {
    const auto cell = json.find(names[column]);
    if (cell != json.end()) row[column] = CellIn(*cell);
  }
  return row;
}

Json ToJson(const std::vector<Entry>& entries) {
  Json json = Json::array();
  for (const Entry& entry : entries) {
    // Not {...}: of a single element GCC makes an array, and Clang the element.
    Json one = Json::array({ToJson(entry.dot)});
    if (entry.value.known()) one.push_back(ToJson(entry.value));
    json.push_back(std::move(one));
  }
  return json;
}

std::vector<Entry> EntriesIn(const Json& json) {
  std::vector<Entry> entries;
  for (const Json& one : json)
    entries.push_back({DotIn(one.at(0)), one.size() > 1 ? CellIn(one.at(1)) : Cell()});
  return entries;
}

Json ToJson(const Member& member, const std::vector<std::string>& names) {
  Json json = {{"dot", ToJson(member.dot)}};
  if (member.deleted) json["deleted"] = true;
  if (member.row) json["row"] = ToJson(*member.row, names);
  return json;
}

Member MemberIn(const Json& json, const std::vector<std::string>& names) {
  Member member{.dot = DotIn(json.at("dot")), .deleted = json.value("deleted", false), .row = {}};
  if (json.contains("row")) member.row = RowIn(json["row"], names);
  return member;
}

Json ToJson(const ColumnState& column) {
  Json json = Json::object();
  if (!column.entries.empty()) json["entries"] = ToJson(column.entries);
  for (const auto& [element, dots] : column.elements) {
    Json& names = json["elements"][element] = Json::array();
    for (const Dot& dot : dots) names.push_back(ToJson(dot));
  }
  for (const auto& [key, entries] : column.keys) json["keys"][key] = ToJson(entries);
  return json;
}

ColumnState ColumnIn(const Json& json) {
  ColumnState column;
  if (json.contains("entries")) column.entries = EntriesIn(json["entries"]);
  if (json.contains("elements")) {
    for (const auto& [element, dots] : json["elements"].items()) {
      for (const Json& dot : dots) column.elements[element].push_back(DotIn(dot));
    }
  }
  if (json.contains("keys")) {
    for (const auto& [key, entries] : json["keys"].items()) column.keys[key] = EntriesIn(entries);
  }
  return column;
}

RowState StateIn(const Json& json, const std::vector<std::string>& names) {
  RowState state;
  for (const Json& member : json.at("members")) state.members.push_back(MemberIn(member, names));
  if (json.contains("shadow")) state.shadow = RowIn(json["shadow"], names);
  if (!json.contains("columns")) return state;
  state.columns.resize(names.size());
  for (size_t column = 0; column < names.size(); ++column) {
    const auto known = json["columns"].find(names[column]);
    if (known != json["columns"].end()) state.columns[column] = ColumnIn(*known);
  }
  return state;
}

void Raise(const Dot& dot, std::vector<Lsn>& newest) {
  if (dot.rank < newest.size()) newest[dot.rank] = std::max(newest[dot.rank], dot.lsn);
}

}  // namespace

std::vector<Lsn> RowState::Newest(size_t regions) const {
  std::vector<Lsn> newest(regions);
  for (const Member& member : members) Raise(member.dot, newest);
  for (const ColumnState& column : columns) {
    for (const Entry& entry : column.entries) Raise(entry.dot, newest);
    for (const auto& [element, dots] : column.elements) {
      for (const Dot& dot : dots) Raise(dot, newest);
    }
    for (const auto& [key, entries] : column.keys) {
      for (const Entry& entry : entries) Raise(entry.dot, newest);
    }
  }
  return newest;
}

std::string EncodeRowState(const RowState& state, const std::vector<std::string>& names) {
  Json json = {{"members", Json::array()}};
  for (const Member& member : state.members) json["members"].push_back(ToJson(member, names));
  if (state.shadow) json["shadow"] = ToJson(*state.shadow, names);
  for (size_t column = 0; column < state.columns.size() && column < names.size(); ++column) {
    if (!state.columns[column].empty())
      json["columns"][names[column]] = ToJson(state.columns[column]);
  }
  return json.dump();
}

absl::StatusOr<RowState> DecodeRowState(std::string_view text,
                                        const std::vector<std::string>& names) {
  try {
    return StateIn(Json::parse(text), names);
  } catch (const Json::exception&) {
    return NamedError(absl::StatusCode::kDataLoss, "row_state_damaged",
                      "an entry of pgduet.row_state cannot be read",
                      "Delete the entry of this key; the row counts as settled then.");
  }
}

}  // namespace pgduet
