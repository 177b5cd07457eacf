#!/bin/bash
# Run once by the PostgreSQL image in a new database: the role that the agent runs as.
set -euo pipefail
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set password="$PGDUET_PASSWORD" <<'SQL'
CREATE ROLE pgduet LOGIN REPLICATION PASSWORD :'password';
SQL
