#!/bin/sh
# The Prefect server: schedules, runs and events.
. "$(dirname "$0")/common.sh"

database_url PREFECT_SERVER_DATABASE_CONNECTION_URL postgresql+asyncpg prefect
secret PREFECT_SERVER_API_AUTH_STRING

exec prefect --no-prompt server start --host "${BIND_HOST:-127.0.0.1}" --port "${BIND_PORT:-4200}"
