# Sourced by every entry point: all configuration comes from the environment.
set -eu

# prefect.yaml and flows/ lie there, in the repository and in the images.
cd "$(dirname "$0")/../.."

export DO_NOT_TRACK="${DO_NOT_TRACK:-true}"
export PREFECT_SERVER_ANALYTICS_ENABLED="${PREFECT_SERVER_ANALYTICS_ENABLED:-false}"
export PYTHONUNBUFFERED=1

fail() {
    echo "${0##*/}: $*" >&2
    exit 2
}

# value NAME: what the variable of that name holds, or nothing.
value() {
    eval "printf '%s' \"\${$1-}\""
}

# secret NAME: export NAME from the file that NAME_FILE names, if it is given. Every NAME here is a word of this folder.
secret() {
    secret_file=$(value "$1_FILE")
    [ -n "$secret_file" ] || return 0
    [ -z "$(value "$1")" ] || fail "$1 and $1_FILE are both set; one was expected"
    [ -r "$secret_file" ] || fail "$1_FILE: $secret_file cannot be read by $(id -un 2>/dev/null || id -u)"
    secret_content=$(cat "$secret_file")
    export "$1=$secret_content"
    unset "$1_FILE" secret_content
}

# required NAME...: stop unless each is set.
required() {
    for required_name in "$@"; do
        [ -n "$(value "$required_name")" ] || fail "$required_name is not set"
    done
}

# database_url NAME DRIVER DATABASE: export NAME as the URL of that database, unless it is given. The password goes by
# PGPASSWORD, which psycopg2 and asyncpg read: no URL in a list of processes or in a log holds it.
database_url() {
    secret "$1"
    [ -z "$(value "$1")" ] || return 0
    secret DATABASE_PASSWORD
    required DATABASE_HOST DATABASE_PASSWORD
    export PGPASSWORD="$DATABASE_PASSWORD"
    unset DATABASE_PASSWORD
    export "$1=$2://$3@$DATABASE_HOST:${DATABASE_PORT:-5432}/$3"
}

# case_monitor_environment: what the worker, the service and the set-up share.
case_monitor_environment() {
    database_url CASE_MONITOR_DATABASE_URL postgresql+psycopg2 case_monitor
    secret CASE_MONITOR_NOTIFY
    secret MLFLOW_TRACKING_PASSWORD
    secret PREFECT_API_AUTH_STRING
    required CASE_MONITOR_TRACKING_URI CASE_MONITOR_CONFIG PREFECT_API_URL
    [ -r "$CASE_MONITOR_CONFIG" ] || fail "CASE_MONITOR_CONFIG: $CASE_MONITOR_CONFIG cannot be read"
}
