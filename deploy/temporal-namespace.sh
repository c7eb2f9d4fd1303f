#!/bin/sh
# The namespace, its retention and its search attributes: made where missing, then waited for. May
# run any number of times.
# The CLI reads TEMPORAL_ADDRESS itself; the namespace is always said, as `namespace create` takes
# no heed of TEMPORAL_NAMESPACE.
set -eu

namespace="${TEMPORAL_NAMESPACE:?}"
retention="${TEMPORAL_RETENTION:-7d}"
seconds_max="${TEMPORAL_WAIT_SECONDS_MAX:-120}"

wait_for() { # command ...
    seconds_left="$seconds_max"
    until "$@" >/dev/null 2>&1; do
        seconds_left=$((seconds_left - 1))
        if [ "$seconds_left" -le 0 ]; then
            "$@" # once more, to say what is wrong
            exit 1
        fi
        sleep 1
    done
}

# An open port is not a cluster that serves.
wait_for temporal operator cluster health

if temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1; then
    temporal operator namespace update --namespace "$namespace" --retention "$retention"
else
    temporal operator namespace create --namespace "$namespace" --retention "$retention"
    wait_for temporal operator search-attribute list --namespace "$namespace"
fi

# One call each: of several names in one call the CLI registers only the first (1.9.1).
query="WorkflowId = ''"
for name in SagaType SagaState TenantId SubjectId FailedStep EndpointId EventType; do
    temporal operator search-attribute create --namespace "$namespace" --name "$name" --type Keyword
    query="$query AND $name = ''"
done

# The server's caches know them some seconds later; a workflow started before that is refused.
wait_for temporal workflow count --namespace "$namespace" --query "$query"

echo "Namespace $namespace is ready"
