#!/bin/sh
# The MLflow server: experiments, registry, artifacts and webhooks.
. "$(dirname "$0")/common.sh"

database_url MLFLOW_BACKEND_STORE_URI postgresql+psycopg2 mlflow
# Without the key, webhooks die at the next start: their secrets are stored encrypted.
secret MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY
required MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY MLFLOW_ARTIFACTS_DESTINATION
export MLFLOW_BACKEND_STORE_URI MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY
# Eight processes for jobs of generative AI, which nothing here uses.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION="${MLFLOW_SERVER_ENABLE_JOB_EXECUTION:-false}"
# It would keep the list of webhooks for 60 s, in which nothing reaches one that was added or enabled. Reading it anew is one
# small query for each event.
export MLFLOW_WEBHOOK_CACHE_TTL="${MLFLOW_WEBHOOK_CACHE_TTL:-0}"

exec mlflow server \
    --host "${BIND_HOST:-127.0.0.1}" --port "${BIND_PORT:-5000}" --workers "${MLFLOW_WORKERS:-1}" \
    --serve-artifacts --artifacts-destination "$MLFLOW_ARTIFACTS_DESTINATION" \
    --allowed-hosts "${MLFLOW_ALLOWED_HOSTS:-localhost:*,127.0.0.1:*}"
