#include "transport/kafka_admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/named_error.h"
#include "tests/transport/kafka_topics.h"

namespace pgduet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class KafkaAdminTest : public KafkaTest {
 protected:
  std::vector<std::string> Problems(absl::Duration retention_min = absl::Hours(24 * 7)) {
    std::vector<std::string> names;
    for (const absl::Status& problem : admin_->CheckTopic(options_.topic, retention_min)) {
      names.push_back(ErrorName(problem));
      EXPECT_THAT(std::string(problem.message()), HasSubstr(options_.topic));
      EXPECT_NE(ErrorRemedy(problem), "");
    }
    return names;
  }
};

TEST_F(KafkaAdminTest, ACreatedTopicIsAsItMustBe) {
  CreateTopic();
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(KafkaAdminTest, CreatingTwiceIsOk) {
  CreateTopic();
  CreateTopic({.retention = absl::Hours(1)});
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(KafkaAdminTest, RetentionMayBeForEver) {
  CreateTopic({.retention = absl::InfiniteDuration()});
  EXPECT_THAT(Problems(absl::InfiniteDuration()), IsEmpty());
}

TEST_F(KafkaAdminTest, CheckingAMissingTopicDoesNotCreateIt) {
  for (int i = 0; i < 3; ++i) {
    const auto problems = admin_->CheckTopic(options_.topic, absl::Hours(1));
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_EQ(ErrorName(problems[0]), "topic_missing");
    EXPECT_THAT(ErrorRemedy(problems[0]), HasSubstr("pgduet init"));
  }
}

TEST_F(KafkaAdminTest, TwoPartitionsHaveNoOrder) {
  CreateRawTopic(2, {{"max.message.bytes", "2000000"}});
  EXPECT_THAT(Problems(), ElementsAre("topic_partition_count"));
}

TEST_F(KafkaAdminTest, ACompactedTopicLosesRecords) {
  CreateRawTopic(1, {{"cleanup.policy", "compact,delete"}, {"max.message.bytes", "2000000"}});
  EXPECT_THAT(Problems(), ElementsAre("topic_cleanup_policy"));
}

TEST_F(KafkaAdminTest, RetentionMustBeLongEnough) {
  CreateTopic({.retention = absl::Hours(24)});
  EXPECT_THAT(Problems(), ElementsAre("topic_retention_too_small"));
  EXPECT_THAT(Problems(absl::Hours(24)), IsEmpty());
}

TEST_F(KafkaAdminTest, RetentionBySizeIsNoRetention) {
  CreateRawTopic(1, {{"retention.bytes", "100000000"}, {"max.message.bytes", "2000000"}});
  EXPECT_THAT(Problems(), ElementsAre("topic_retention_too_small"));
}

TEST_F(KafkaAdminTest, MessagesMustFit) {
  CreateRawTopic(1, {{"max.message.bytes", "900000"}});
  EXPECT_THAT(Problems(), ElementsAre("topic_message_size_too_small"));
}

TEST_F(KafkaAdminTest, EveryProblemIsToldAtOnceWithItsCommand) {
  CreateRawTopic(
      3, {{"max.message.bytes", "1000"}, {"cleanup.policy", "compact"}, {"retention.ms", "1000"}});
  const auto problems = admin_->CheckTopic(options_.topic, absl::Hours(24));
  ASSERT_EQ(problems.size(), 4u);
  EXPECT_THAT(ErrorRemedy(problems[2]), HasSubstr("--add-config retention.ms=86400000"));
}

TEST_F(KafkaAdminTest, TooManyReplicasAreNamed) {
  EXPECT_EQ(ErrorName(admin_->CreateTopic(options_.topic, {.replication_factor = 3})),
            "topic_replication_factor");
}

TEST_F(KafkaAdminTest, ADeletedTopicIsMissing) {
  CreateTopic();
  EXPECT_TRUE(admin_->DeleteTopic(options_.topic).ok());
  EXPECT_TRUE(admin_->DeleteTopic(options_.topic).ok());
  EXPECT_THAT(Problems(), ElementsAre("topic_missing"));
}

TEST_F(KafkaAdminTest, UnreachableBrokersAreNamedWithTheirAddress) {
  KafkaOptions options{.brokers = "127.0.0.1:1", .network_timeout = absl::Milliseconds(500)};
  auto admin = KafkaAdmin::Open(options);
  ASSERT_TRUE(admin.ok());
  const auto problems = (*admin)->CheckTopic(options_.topic, absl::Hours(1));
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(ErrorName(problems[0]), "broker_unreachable");
  EXPECT_THAT(std::string(problems[0].message()), HasSubstr("127.0.0.1:1"));
  EXPECT_EQ(ErrorName((*admin)->CreateTopic(options_.topic, {})), "broker_unreachable");
}

TEST_F(KafkaAdminTest, PropertiesThatPromisesRestOnAreRefused) {
  for (const char* name : {"acks", "request.required.acks", "enable.idempotence",
                           "auto.offset.reset", "enable.auto.commit", "group.id",
                           "message.timeout.ms", "bootstrap.servers", "transactional.id"}) {
    KafkaOptions options = options_.kafka;
    options.properties = {{name, "1"}};
    const absl::Status refused = KafkaAdmin::Open(options).status();
    EXPECT_EQ(ErrorName(refused), "forbidden_property") << name;
    EXPECT_THAT(std::string(refused.message()), HasSubstr(name));
  }
}

TEST_F(KafkaAdminTest, UnknownPropertiesAreNamedWithoutTheirValue) {
  KafkaOptions options = options_.kafka;
  options.properties = {{"sasl.pasword", "secret"}};
  const absl::Status refused = KafkaAdmin::Open(options).status();
  EXPECT_EQ(ErrorName(refused), "invalid_property");
  EXPECT_THAT(refused.ToString(), HasSubstr("sasl.pasword"));
  EXPECT_THAT(refused.ToString(), testing::Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace pgduet
