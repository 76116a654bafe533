#!/bin/sh
# The web service: receives MLflow's webhooks, and answers /healthz, /readyz and /metrics.
. "$(dirname "$0")/common.sh"

case_monitor_environment
secret CASE_MONITOR_WEBHOOK_SECRET
required CASE_MONITOR_WEBHOOK_SECRET

exec case-monitor serve --host "${BIND_HOST:-127.0.0.1}" --port "${BIND_PORT:-8000}" --config "$CASE_MONITOR_CONFIG"
