#!/usr/bin/env bash
# Make .venv from uv.lock, then look for Java and fetch the engine's pinned jars. Quick when nothing changed.
# Usage: infra/setup.sh [--no-java | --peers]  (--peers: what the benchmark's other engines take, too)
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly UV_VERSION=0.13.9
readonly OLDEST_JAVA=17

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

# The first Python of a supported version that really starts (a pyenv shim may stand for a version that is not set).
supported_python() {
    local name
    for name in python3 python3.11 python3.12; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

works() {
    "$@" >/dev/null 2>&1
}

# Print the path of uv: the one installed, else the pinned one from PyPI in a folder of its own.
find_uv() {
    local python=$1 own=.cache/uv/bin/uv
    if works uv --version; then
        command -v uv
        return
    fi
    if [[ "$("$own" --version 2>/dev/null)" != "uv $UV_VERSION"* ]]; then
        echo "fetching uv $UV_VERSION" >&2
        rm -rf -- .cache/uv
        # Debian's python3 comes without venv, slim images come without pip: either one will do.
        if works "$python" -m venv .cache/uv; then
            .cache/uv/bin/python -m pip install --quiet "uv==$UV_VERSION" >&2
        elif works "$python" -m pip --version; then
            "$python" -m pip install --quiet --target .cache/uv "uv==$UV_VERSION" >&2
        else
            fail "this Python has neither venv nor pip: install python3-venv, or uv $UV_VERSION."
        fi
    fi
    printf '%s/%s\n' "$PWD" "$own"
}

stamp() {
    local digest
    digest=$(cat uv.lock pyproject.toml | { sha256sum 2>/dev/null || shasum -a 256; })
    printf '%s\n%s\n' "${digest%% *}" "$PWD"
}

make_environment() {
    local wanted found python uv
    wanted=$(stamp)
    found=$(cat .venv/.setup 2>/dev/null || true)
    if [[ "$found" == "$wanted" ]] && works .venv/bin/python -c ''; then
        return
    fi
    python=$(supported_python) ||
        fail "no Python 3.11 or 3.12 was found: install one (Debian: apt install python3 python3-venv)."
    if [[ -n "$found" && "${found##*$'\n'}" != "$PWD" ]]; then
        rm -rf -- .venv # the folder was moved: the scripts inside name the old place
    fi
    # Wheels of this machine only must not enter: the lock names every file.
    unset PIP_FIND_LINKS UV_FIND_LINKS VIRTUAL_ENV
    uv=$(find_uv "$python")
    echo "making .venv from uv.lock (once; a few minutes on a slow line)" >&2
    rm -f -- .venv/.setup
    UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never "$uv" sync --frozen --quiet --python "$python"
    printf '%s\n' "$wanted" >.venv/.setup
}

# An engine that has no package for this machine is a row of the benchmark that says so.
add_peers() {
    local uv
    .venv/bin/python -c 'import polars_hash, pysail' 2>/dev/null && return
    uv=$(find_uv .venv/bin/python)
    echo "fetching the benchmark's other engines" >&2
    UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never "$uv" sync --frozen --quiet --inexact --group benchmark \
        --python .venv/bin/python || echo "some of them could not be had" >&2
}

check_java() {
    local java remedy="install openjdk-17-jre-headless, or set JAVA_HOME" told version
    java=java
    if [[ -n "${JAVA_HOME:-}" ]]; then
        java=$JAVA_HOME/bin/java
        [[ -x "$java" ]] || fail "JAVA_HOME is set, but there is no $java: mend or unset it."
    elif ! command -v java >/dev/null; then
        fail "no Java was found; the engine needs $OLDEST_JAVA or later: $remedy."
    fi
    told=$("$java" -version 2>&1) || fail "$java does not start: $remedy."
    [[ "$told" =~ version\ \"(1\.)?([0-9]+) ]] || fail "$java does not say its version: $remedy."
    version=${BASH_REMATCH[2]}
    if ((version < OLDEST_JAVA)); then
        fail "found Java $version; the engine needs $OLDEST_JAVA or later: $remedy."
    fi
}

main() {
    mkdir -p .cache
    if command -v flock >/dev/null; then
        exec 9>.cache/setup.lock
        flock 9 # a second set-up waits for the first
    fi
    if [[ "${1:-}" != "--no-java" ]]; then
        check_java # before the long part, so that the message is not minutes away
    fi
    make_environment
    if [[ "${1:-}" != "--no-java" ]]; then
        .venv/bin/python -m jobs.storage.jars
    fi
    if [[ "${1:-}" == "--peers" ]]; then
        add_peers
    fi
}

main "$@"
