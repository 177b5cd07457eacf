#include "tests/fuzz/fuzz_target.h"

namespace pgduet {

std::span<const FuzzTarget> FuzzTargets() {
  static constexpr FuzzTarget kTargets[] = {
      {"record", FuzzRecord, RecordSeeds},
      {"record_stream", FuzzRecordStream, RecordStreamSeeds},
      {"pgoutput", FuzzPgoutput, PgoutputSeeds},
      {"assembler", FuzzAssembler, AssemblerSeeds},
      {"marker", FuzzMarker, MarkerSeeds},
      {"vector_text", FuzzVectorText, VectorTextSeeds},
      {"lsn_text", FuzzLsnText, LsnTextSeeds},
      {"configuration", FuzzConfiguration, ConfigurationSeeds},
  };
  return kTargets;
}

}  // namespace pgduet
