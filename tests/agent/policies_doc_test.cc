// The examples of docs/policies.md are sound, and no policy is left out.
#include <fstream>
#include <iterator>
#include <set>

#include <gtest/gtest.h>

#include "tests/agent/config_samples.h"

namespace pgduet {
namespace {

constexpr char kHead[] = R"(group: shop
regions:
  us-east: {postgres: "host=a dbname=shop user=pgduet", kafka: {brokers: "k1:9092"}}
  eu-west: {postgres: "host=b dbname=shop user=pgduet", kafka: {brokers: "k2:9092"}}
)";

std::string Document() {
  std::ifstream file(PGDUET_SOURCE_DIR "/docs/policies.md");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> Examples(const std::string& text) {
  std::vector<std::string> examples;
  const std::string begin = "```yaml\n", end = "```";
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    at += begin.size();
    examples.push_back(text.substr(at, text.find(end, at) - at));
  }
  return examples;
}

TEST(PoliciesDocTest, EveryExampleIsTakenAndEveryPolicyHasOne) {
  std::set<PolicyKind> shown;
  for (const std::string& example : Examples(Document())) {
    EXPECT_EQ(ProblemsOf(kHead + example), "") << example;
    for (const TableConfig& table : Parsed(kHead + example).config.tables)
      shown.insert(table.policy.kind);
  }
  for (int kind = 0; PolicyName(static_cast<PolicyKind>(kind)) != "unknown"; ++kind)
    EXPECT_EQ(shown.count(static_cast<PolicyKind>(kind)), 1u) << "policy " << kind;
}

TEST(PoliciesDocTest, EveryPolicyHasASection) {
  const std::string text = Document();
  for (int kind = 0; PolicyName(static_cast<PolicyKind>(kind)) != "unknown"; ++kind) {
    const std::string heading = "\n## " + std::string(PolicyName(static_cast<PolicyKind>(kind)));
    EXPECT_NE(text.find(heading + "\n"), std::string::npos) << heading;
  }
}

}  // namespace
}  // namespace pgduet
