#!/usr/bin/env bash
# Runs a command beside one real Kafka broker (KRaft, one node, loopback, data in a temporary folder):
#   tests/with_kafka.sh build/dev/tests/transport_kafka_test
# The command finds the broker in PGDUET_TEST_KAFKA (host:port) and its process in PGDUET_TEST_KAFKA_PID.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[[ $# -gt 0 ]] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }

"$root/tests/fetch_kafka.sh"
folder=$(mktemp -d "${TMPDIR:-/tmp}/pgduet-kafka.XXXXXX")
broker=
# shellcheck disable=SC2317  # called by the trap
stop() {
  if [[ -n $broker ]]; then
    kill -CONT "$broker" 2>/dev/null || true
    kill -KILL "$broker" 2>/dev/null || true
    wait "$broker" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

read -r port controller_port < <(/usr/bin/python3 - <<'PYTHON'
import socket
taken = [socket.socket() for _ in range(2)]
for one in taken:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in taken))
PYTHON
)
cat >"$folder/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
controller.listener.names=CONTROLLER
log.dirs=$folder/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES

java=(java -Xmx512m -Xms128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$root/.cache/kafka/libs/*")
# With "=": an id may begin with a dash, and would be taken for an option.
"${java[@]}" kafka.tools.StorageTool format "--cluster-id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')" \
  -c "$folder/server.properties" >"$folder/format.log" 2>&1 || { cat "$folder/format.log" >&2; exit 1; }
"${java[@]}" kafka.Kafka "$folder/server.properties" >"$folder/kafka.log" 2>&1 &
broker=$!

deadline=$((SECONDS + 90))
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  if ! kill -0 "$broker" 2>/dev/null || ((SECONDS > deadline)); then
    echo "with_kafka: the broker did not start" >&2
    tail -n 30 "$folder/kafka.log" >&2
    exit 1
  fi
  sleep 0.1
done

code=0
PGDUET_TEST_KAFKA=127.0.0.1:$port PGDUET_TEST_KAFKA_PID=$broker "$@" || code=$?
exit "$code"
