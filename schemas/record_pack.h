// Several records in one message of a log: what each of them costs a broker and its clients is
// spent once for all of them.
//
// A message is one record, or a pack (protocol 3): records as they are, one behind the other, each
// with its own checksum. docs/wire_format.md has the bytes. A pack is never waited for: it holds
// what was there when the message was sent. Values; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgduet {

// First field of a message that is a pack; records have their own protocols below it.
constexpr uint32_t kPackProtocol = 3;
// By then the cost of a message is long spread; a larger pack only makes readers wait for what is
// being packed. (One that must wait for others on their way may grow to kRecordBytesMax.)
constexpr size_t kPackBytesTarget = 64 * 1024;

// Collects records for the next message.
class RecordPack {
 public:
  // Takes the record over; false when it must begin the next message: take this one first.
  bool Add(std::string& record);
  bool empty() const { return records_ == 0; }
  size_t bytes() const { return bytes_.size(); }
  uint32_t records() const { return records_; }
  // The message; empties the pack. A single record is a message as it is.
  std::string Take();

 private:
  std::string bytes_;  // the record itself while it is the only one, else the pack
  uint32_t records_ = 0;
};

// The records of a message, views into it. A damaged or oversized pack is given as the one record
// that it is not: DecodeEnvelope refuses it, by name.
std::vector<std::string_view> RecordsOf(std::string_view message);

}  // namespace pgduet
