#!/bin/sh
# Once before worker and service, and again after every upgrade: nothing is done twice.
. "$(dirname "$0")/common.sh"

case_monitor_environment
secret CASE_MONITOR_WEBHOOK_SECRET
required CASE_MONITOR_WEBHOOK_SECRET CASE_MONITOR_SERVICE_URL
pool="${WORK_POOL:-case-monitor}"

case-monitor db upgrade --config "$CASE_MONITOR_CONFIG"

python3 docker/entrypoints/answers.py --wait "${SETUP_WAIT:-180}" "$PREFECT_API_URL/health"
prefect --no-prompt work-pool inspect "$pool" >/dev/null 2>&1 ||
    prefect --no-prompt work-pool create "$pool" --type "${WORK_POOL_TYPE:-process}"
prefect --no-prompt deploy --all

python3 docker/entrypoints/answers.py --wait "${SETUP_WAIT:-180}" "$CASE_MONITOR_TRACKING_URI/health"
case-monitor webhook register --config "$CASE_MONITOR_CONFIG"
