#include "agent/commands/policy_options.h"

namespace pgduet {
namespace {

constexpr char kKey[] = "The key: '{\"id\": 7}'";

}  // namespace

void PolicyOptions::AddTo(CLI::App& app, const WithRegion& with_region,
                          std::function<void()> show) {
  AddPolicy(app, with_region, std::move(show));
  AddSiblings(app, with_region);
  AddResolve(app, with_region);
}

void PolicyOptions::AddPolicy(CLI::App& app, const WithRegion& with_region,
                              std::function<void()> show) {
  CLI::App* policy = app.add_subcommand("policy", "How conflicts are decided");
  policy->require_subcommand(1);
  policy->add_subcommand("show", "What all regions must agree on, and its hash; needs no region")
      ->callback(std::move(show));
  AddApply(*policy, with_region);
  CLI::App* test = policy->add_subcommand(
      "test", "A custom table's function over the conflicts that are logged, in both orders");
  test->add_option("table", test_.table, "schema.table")->required();
  test->add_option("--limit", test_.limit, "At most so many conflicts, the newest")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  test->callback(with_region([this](const Invocation& one) { return RunPolicyTest(one, test_); }));
}

void PolicyOptions::AddApply(CLI::App& policy, const WithRegion& with_region) {
  policy.add_subcommand("status", "The set that is in force here, and the change that goes on")
      ->callback(with_region(RunPolicyStatus));
  CLI::App* apply = policy.add_subcommand(
      "apply", "Change the policies of tables while all regions run; once in each region");
  CLI::Option* file = apply->add_option("file", apply_.file, "The new configuration file");
  CLI::Option* resume =
      apply->add_flag("--resume", apply_.resume, "Wait for the change that goes on");
  CLI::Option* abort = apply->add_flag("--abort", apply_.abort, "Take it back, if it still can be");
  apply->add_flag("--force", apply_.force, "With --abort: also without the first region's word")
      ->needs(abort);
  apply->add_flag("--no-wait", apply_.no_wait, "Tell the agent, and return");
  apply->add_flag("--discard-siblings", apply_.discard_siblings,
                  "Rows of a changed table may have siblings: what is visible stays");
  apply
      ->add_option("--patience", apply_.patience_seconds,
                   "Seconds from the moment all regions are ready until it is taken back")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  file->excludes(resume)->excludes(abort);
  resume->excludes(abort);
  apply->callback([file, resume, abort, run = with_region([this](const Invocation& one) {
                                          return RunPolicyApply(one, apply_);
                                        })] {
    if (file->empty() && resume->empty() && abort->empty())
      throw CLI::RequiredError("FILE, --resume or --abort");
    run();
  });
}

void PolicyOptions::AddSiblings(CLI::App& app, const WithRegion& with_region) {
  CLI::App* siblings =
      app.add_subcommand("siblings", "Rows of which several versions stand side by side");
  siblings->require_subcommand(1);
  CLI::App* list = siblings->add_subcommand("list", "Their keys");
  list->add_option("--table", siblings_.table, "schema.table");
  list->callback(
      with_region([this](const Invocation& one) { return RunSiblingsList(one, siblings_); }));
  CLI::App* show = siblings->add_subcommand("show", "All versions of one row");
  show->add_option("table", siblings_.table, "schema.table")->required();
  show->add_option("key", siblings_.key, kKey)->required();
  show->callback(
      with_region([this](const Invocation& one) { return RunSiblingsShow(one, siblings_); }));
}

void PolicyOptions::AddResolve(CLI::App& app, const WithRegion& with_region) {
  CLI::App* resolve =
      app.add_subcommand("resolve", "Ends siblings: writes the row, for all regions to see");
  resolve->add_option("table", resolve_.table, "schema.table")->required();
  resolve->add_option("key", resolve_.key, kKey)->required();
  CLI::Option* row =
      resolve->add_option("--row", resolve_.row, "The row, or columns of it, as JSON");
  CLI::Option* take =
      resolve->add_option("--take", resolve_.take, "The version of this region, as it is");
  CLI::Option* remove = resolve->add_flag("--delete", resolve_.remove, "No row");
  row->excludes(take)->excludes(remove);
  take->excludes(remove);
  resolve->callback([row, take, remove, run = with_region([this](const Invocation& one) {
                                          return RunResolve(one, resolve_);
                                        })] {
    if (row->empty() && take->empty() && remove->empty())
      throw CLI::RequiredError("--row, --take or --delete");
    run();
  });
}

}  // namespace pgduet
