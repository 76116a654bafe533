#!/bin/sh
# One role and one database of its own for each of the three; none may look into another's. What is there stays, and
# passwords become those of the files DATABASE_PASSWORDS/NAME_database_password. PostgreSQL's image runs this script
# when the volume is new, `make stack` at every start.
set -eu

export PGUSER="${PGUSER:-${POSTGRES_USER:-postgres}}" PGDATABASE="${PGDATABASE:-postgres}"

for name in case_monitor mlflow prefect; do
    export PASSWORD_FILE="${DATABASE_PASSWORDS:-/run/secrets}/${name}_database_password"
    [ -s "$PASSWORD_FILE" ] || { echo "databases.sh: $PASSWORD_FILE is empty or missing" >&2; exit 2; }
    psql --no-psqlrc --quiet --no-password -v ON_ERROR_STOP=1 -v name="$name" <<'SQL'
\set password `cat "$PASSWORD_FILE"`
SELECT format('CREATE ROLE %I LOGIN', :'name') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
