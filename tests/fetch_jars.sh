#!/usr/bin/env bash
# fetch_jars.sh POM FOLDER: copies the jars that the POM names to FOLDER/libs, through Maven.
# Does nothing when they are there. Maven's own output goes to FOLDER/fetch.log.
set -euo pipefail
cd "$(dirname "$0")/.."

pom=${1:?a POM is needed}
cache=${2:?a folder is needed}
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
  echo "fetch_jars: attempt $attempt failed" >&2
done
echo "fetch_jars: Maven could not fetch the jars of $pom; see $cache/fetch.log" >&2
exit 1
