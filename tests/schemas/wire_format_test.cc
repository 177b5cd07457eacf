// docs/wire_format.md is compared with the code: the example's bytes are decoded, every value that
// the page states beside them is looked up in the record, the record is encoded again; and the
// bounds that the page names are the codec's.
#include <cctype>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "schemas/record.pb.h"
#include "schemas/record_codec.h"
#include "tests/schemas/record_fields.h"

namespace pgduet {
namespace {

std::string Page() {
  std::ifstream file(PGDUET_SOURCE_DIR "/docs/wire_format.md", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Example {
  std::string bytes;
  std::vector<std::pair<std::string, std::string>> stated;  // "header.sequence", "7"
};

// The block marked ```wire: hex bytes, then what they say. Lines of the form "name = value" state
// something.
Example ReadExample(const std::string& page) {
  static const std::regex kLine(R"(^((?:[0-9a-f]{2} ?)+)\s*(?:(\S+) = (.*)|.*)$)");
  Example example;
  const size_t begin = page.find("```wire\n") + 8;
  std::istringstream block(page.substr(begin, page.find("```", begin) - begin));
  for (std::string line; std::getline(block, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, kLine)) {
      ADD_FAILURE() << "not a line of an example: " << line;
      continue;
    }
    std::istringstream pairs(match[1].str());
    for (std::string pair; pairs >> pair;) {
      example.bytes.push_back(static_cast<char>(std::stoi(pair, nullptr, 16)));
    }
    if (match[2].matched) example.stated.emplace_back(match[2].str(), match[3].str());
  }
  return example;
}

std::string Hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x} ", static_cast<unsigned char>(byte));
  return text;
}

// The lines of the grammar that say what a message is: from "    name " to the next name.
std::string ProductionOf(const std::string& page, std::string message) {
  if (message == "VectorEntry") message = "Entry";
  message[0] = static_cast<char>(std::tolower(message[0]));
  const size_t begin = page.find(fmt::format("\n    {} ", message));
  if (begin == std::string::npos) return {};
  size_t end = page.find('\n', begin + 1);
  while (page.compare(end, 6, "\n     ") == 0) end = page.find('\n', end + 1);
  return page.substr(begin, end - begin);
}

class WireFormatTest : public testing::Test {
 protected:
  const std::string page_ = Page();
  const Example example_ = ReadExample(page_);
};

TEST_F(WireFormatTest, TheExampleSaysWhatStandsBesideItsBytes) {
  auto raw = DecodeEnvelope(example_.bytes);
  ASSERT_TRUE(raw.ok()) << raw.status();
  const auto record = DecodeBody(*std::move(raw));
  ASSERT_TRUE(record.ok()) << record.status();
  Fields fields = FieldsOf(*record);
  wire::Envelope envelope;
  ASSERT_TRUE(envelope.ParseFromString(example_.bytes));
  fields["checksum"] = fmt::format("{:016x}", envelope.checksum());
  EXPECT_GT(example_.stated.size(), 40u);
  for (const auto& [name, value] : example_.stated) {
    ASSERT_TRUE(fields.contains(name)) << name;
    EXPECT_EQ(fields[name], value) << name;
  }
}

TEST_F(WireFormatTest, TheExampleIsWhatTheWriterWrites) {
  auto raw = DecodeEnvelope(example_.bytes);
  ASSERT_TRUE(raw.ok()) << raw.status();
  const auto record = DecodeBody(*std::move(raw));
  ASSERT_TRUE(record.ok()) << record.status();
  const auto again = EncodeRecord(*record);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(Hex(again[0]), Hex(example_.bytes));
  EXPECT_NE(page_.find(fmt::format("one record of {} bytes", again[0].size())), std::string::npos);
}

// A field of record.proto that the grammar lacks, or has under another number, is noticed here.
TEST_F(WireFormatTest, TheGrammarHasEveryFieldWithItsNumber) {
  const google::protobuf::FileDescriptor& file = *wire::Envelope::descriptor()->file();
  for (int i = 0; i < file.message_type_count(); ++i) {
    const google::protobuf::Descriptor& message = *file.message_type(i);
    const std::string production = ProductionOf(page_, message.name());
    for (int j = 0; j < message.field_count(); ++j) {
      const google::protobuf::FieldDescriptor& field = *message.field(j);
      // The grammar names a repeated field for one of its elements; `kinds` is one field of
      // letters.
      std::string name = field.name();
      if (field.is_repeated()) name = name == "entries" ? "entry" : name.substr(0, name.size() - 1);
      EXPECT_NE((production + " ").find(fmt::format(" {}[{}]", name, field.number())),
                std::string::npos)
          << message.name() << "." << field.name() << " in: " << production;
    }
  }
}

TEST_F(WireFormatTest, TheBoundsAreTheCodecs) {
  const auto says = [&](const std::string& text) { return page_.find(text) != std::string::npos; };
  EXPECT_TRUE(says(fmt::format("| record | {} KiB |", kRecordBytesMax / 1024)));
  EXPECT_TRUE(says(fmt::format("closed at {} KiB", kChunkBytesTarget / 1024)));
  EXPECT_TRUE(says(fmt::format("| row, new or old | {} MiB", kRowBytesMax / 1024 / 1024)));
  EXPECT_TRUE(says(fmt::format("| {} MiB, in at most {} fragments |", kBodyBytesMax / 1024 / 1024,
                               kFragmentsMax)));
  EXPECT_EQ(kChunksMax, 1u << 24);
  EXPECT_TRUE(says("| chunks of a transaction | 2^24 |"));
  EXPECT_EQ(kRelationsMax, 16'384u);
  EXPECT_EQ(kChangesMax, 262'144u);
  EXPECT_EQ(kValuesMax, 1'048'576u);
  EXPECT_TRUE(says("| 16,384; 262,144; 1,048,576 |"));
  EXPECT_EQ(kColumnsMax, 1'664u);
  EXPECT_TRUE(says("| columns of a relation | 1,664 |"));
  EXPECT_TRUE(says(fmt::format("| name; type name | {}; 1,024 bytes |", kNameBytesMax)));
  EXPECT_EQ(kTypeNameBytesMax, 1'024u);
  EXPECT_TRUE(says(fmt::format("entries of a vector | {},", kRegionsMax)));
  EXPECT_TRUE(says(fmt::format("| policy text; notice | {} MiB; {} KiB |",
                               kPolicyTextBytesMax / 1024 / 1024, kNoticeBytesMax / 1024)));
}

}  // namespace
}  // namespace pgduet
