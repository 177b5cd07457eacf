#!/usr/bin/env bash
# Copies the jars of the Kafka broker to .cache/kafka/libs.
exec "$(dirname "$0")/fetch_jars.sh" tests/kafka/pom.xml .cache/kafka
