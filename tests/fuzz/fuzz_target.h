// The decoders that read untrusted bytes, each as a function that takes any bytes and checks what
// must hold for them.
//
// Run in two ways: by libFuzzer, guided by coverage (./dev fuzz), and with seeded mutations in the
// unit tests (decoder_mutations_test.cc). Pure: no state between runs.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgduet {

struct FuzzOutcome {
  bool accepted = false;  // the decoder took (some of) the bytes
  std::string complaint;  // a broken property; empty: none
};

struct FuzzTarget {
  std::string_view name;
  FuzzOutcome (*run)(std::string_view bytes);
  std::vector<std::string> (*seeds)();
};

std::span<const FuzzTarget> FuzzTargets();

// Bytes as a script of small numbers; at the end everything reads as zero.
class Script {
 public:
  explicit Script(std::string_view bytes) : bytes_(bytes) {}
  bool AtEnd() const { return bytes_.empty(); }
  uint32_t Byte() {
    if (bytes_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }
  uint32_t Number() {
    const uint32_t low = Byte();
    return low | Byte() << 8;
  }
  std::string_view Bytes(size_t count) {
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view bytes_;
};

FuzzOutcome FuzzRecord(std::string_view bytes);
std::vector<std::string> RecordSeeds();
FuzzOutcome FuzzRecordStream(std::string_view script);
std::vector<std::string> RecordStreamSeeds();
FuzzOutcome FuzzPgoutput(std::string_view bytes);
std::vector<std::string> PgoutputSeeds();
FuzzOutcome FuzzAssembler(std::string_view script);
std::vector<std::string> AssemblerSeeds();
FuzzOutcome FuzzMarker(std::string_view text);
std::vector<std::string> MarkerSeeds();
FuzzOutcome FuzzVectorText(std::string_view text);
std::vector<std::string> VectorTextSeeds();
FuzzOutcome FuzzLsnText(std::string_view text);
std::vector<std::string> LsnTextSeeds();
FuzzOutcome FuzzConfiguration(std::string_view text);
std::vector<std::string> ConfigurationSeeds();

}  // namespace pgduet
