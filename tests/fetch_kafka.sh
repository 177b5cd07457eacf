#!/usr/bin/env bash
# Copies the jars of the Kafka broker (tests/kafka/pom.xml) to .cache/kafka/libs through Maven.
# Does nothing when they are there. Maven's own output goes to .cache/kafka/fetch.log.
set -euo pipefail
cd "$(dirname "$0")/.."

pom=tests/kafka/pom.xml
cache=.cache/kafka
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

if cmp -s "$pom" "$cache/complete"; then
  exit 0
fi
rm -rf "$cache/libs" "$cache/complete"
for attempt in 1 2 3; do
  if mvn -q -B -f "$pom" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$PWD/$cache/libs" >"$cache/fetch.log" 2>&1; then
    cp "$pom" "$cache/complete"
    exit 0
  fi
  echo "fetch_kafka: attempt $attempt failed" >&2
done
echo "fetch_kafka: Maven could not fetch the Kafka jars; see $cache/fetch.log" >&2
exit 1
