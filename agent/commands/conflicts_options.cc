#include "agent/commands/conflicts_options.h"

namespace pgduet {
namespace {

void AddFilter(CLI::App& command, ConflictFilter& filter) {
  command.add_option("--table", filter.table, "schema.table");
  command.add_option("--kind", filter.kind, "insert_exists, update_origin_differs, ...");
  command.add_option("--side", filter.region, "A region that wrote one of the two sides");
  command.add_option("--policy", filter.policy, "The policy that decided");
  command.add_option("--since", filter.since, "A time, or an interval such as '1 hour'");
  command.add_option("--until", filter.until, "The same: only what was logged before");
}

}  // namespace

void ConflictsOptions::AddTo(CLI::App& app, const WithRegion& with_region) {
  CLI::App* conflicts = app.add_subcommand("conflicts", "What met what, and how it was decided");
  conflicts->require_subcommand(1);
  AddList(*conflicts, with_region);
  AddShow(*conflicts, with_region);
  AddDismiss(*conflicts, with_region);
  AddUndo(*conflicts, with_region);
  AddReplay(*conflicts, with_region);
}

void ConflictsOptions::AddList(CLI::App& conflicts, const WithRegion& with_region) {
  CLI::App* list = conflicts.add_subcommand("list", "The newest conflicts first");
  AddFilter(*list, list_);
  list->add_flag("--open", list_.open, "Lost something, not dismissed, not undone");
  list->add_option("--before", list_.before, "Only numbers below this one: the next page")
      ->check(CLI::PositiveNumber);
  list->add_option("--limit", list_.limit, "At most so many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  list->callback(
      with_region([this](const Invocation& one) { return RunConflictsList(one, list_); }));
}

void ConflictsOptions::AddShow(CLI::App& conflicts, const WithRegion& with_region) {
  CLI::App* show = conflicts.add_subcommand(
      "show", "Both rows of one conflict side by side, and the row as it is now");
  show->add_option("id", show_id_)->required();
  show->callback(
      with_region([this](const Invocation& one) { return RunConflictsShow(one, show_id_); }));
}

void ConflictsOptions::AddDismiss(CLI::App& conflicts, const WithRegion& with_region) {
  CLI::App* dismiss = conflicts.add_subcommand("dismiss", "Fine as it is: open no more");
  CLI::Option* ids = dismiss->add_option("ids", dismiss_.ids);
  CLI::Option* all =
      dismiss->add_flag("--all", dismiss_.all, "Every open one that the filters let through");
  ids->excludes(all);
  AddFilter(*dismiss, dismiss_.filter);
  dismiss->add_option("--note", dismiss_.note, "Why, for whoever reads it later");
  dismiss->callback([this, run = with_region([this](const Invocation& one) {
                             return RunConflictsDismiss(one, dismiss_);
                           })] {
    if (!dismiss_.all && dismiss_.ids.empty()) throw CLI::RequiredError("ids or --all");
    run();
  });
}

void ConflictsOptions::AddUndo(CLI::App& conflicts, const WithRegion& with_region) {
  CLI::App* undo = conflicts.add_subcommand(
      "undo", "Write the losing side back as a new write, which replicates and wins");
  undo->add_option("id", undo_.id)->required();
  undo->add_flag("--force", undo_.force, "Also when the row was changed since, or undone before");
  undo->add_flag("--dry-run", undo_.dry_run, "Show what it would do, and take it back");
  undo->callback(
      with_region([this](const Invocation& one) { return RunConflictsUndo(one, undo_); }));
}

void ConflictsOptions::AddReplay(CLI::App& conflicts, const WithRegion& with_region) {
  CLI::App* replay = conflicts.add_subcommand(
      "replay", "What another configuration would have decided; changes nothing");
  replay_.filter.limit = 1'000;
  replay->add_option("--policy", replay_.policy, "A configuration file")->required();
  replay->add_option("--table", replay_.filter.table, "schema.table");
  replay->add_option("--since", replay_.filter.since, "A time, or an interval such as '1 hour'");
  replay->add_option("--until", replay_.filter.until, "The same: only what was logged before");
  replay->add_option("--limit", replay_.filter.limit, "The newest so many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  replay->callback(
      with_region([this](const Invocation& one) { return RunConflictsReplay(one, replay_); }));
}

}  // namespace pgduet
