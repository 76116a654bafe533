#!/bin/sh
# A Prefect worker: runs the flows, and answers /health on BIND_PORT. With arguments: that command instead, in the same
# environment; workers of the types docker and kubernetes start this image so, with `prefect flow-run execute`.
. "$(dirname "$0")/common.sh"

case_monitor_environment
[ $# -eq 0 ] || exec "$@"

export PREFECT_WORKER_WEBSERVER_HOST="${BIND_HOST:-127.0.0.1}" PREFECT_WORKER_WEBSERVER_PORT="${BIND_PORT:-8080}"

# The pool says of what type it is; it is made by the set-up, not by whoever comes first.
exec prefect --no-prompt worker start --pool "${WORK_POOL:-case-monitor}" --with-healthcheck \
    --no-create-pool-if-not-found --install-policy never --limit "${WORKER_LIMIT:-1}"
