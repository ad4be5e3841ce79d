# The web console in a real browser: Chromium from the system's packages, what drives it from npm in
# the versions that server/tests/browser pins. A browser that is missing and cannot be installed is
# no failure: its tests are skipped.
# Sourced by ./test.
# shellcheck shell=bash

browser_tests=server/tests/browser
browser_modules=$root/.cache/browser

browser_is_there() {
    node_is_there && node_is_new && command -v "${CHROMIUM:-chromium}" >/dev/null
}

node_is_new() { node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)'; }

# What drives the browser, unless that was installed from the same files already.
build_browser() {
    local sum
    browser_is_there ||
        may_install_packages "the browser for the console" chromium nodejs npm || return
    browser_is_there || return 0
    sum=$(cat "$browser_tests"/package*.json | sha256sum)
    [[ $(cat "$browser_modules.sum" 2>/dev/null) == "$sum" ]] && return
    must "install what drives the browser" install_browser_driver &&
        echo "$sum" >"$browser_modules.sum"
}

# A copy of the manifests, so that the sources' directory stays clean.
install_browser_driver() {
    mkdir -p "$browser_modules" &&
        cp "$browser_tests"/package*.json "$browser_modules" &&
        npm ci --prefix "$browser_modules" --ignore-scripts --no-audit --no-fund
}

family_console() {
    local file
    if ! browser_is_there; then
        skip "the console in a browser" "chromium is missing, or node 20 or newer"
        return
    fi
    export LATCHD_BIN=$target/release/latchd LATCHD_BROWSER_MODULES=$browser_modules
    export LATCHD_PICTURES=$target/console CHROMIUM
    CHROMIUM=$(command -v "${CHROMIUM:-chromium}")
    for file in "$browser_tests"/*.test.mjs; do
        node_tests "$file"
    done
}

# node_tests FILE: a file of tests for node's runner, counted from what it says at the end.
node_tests() {
    local status=0 ok bad skips
    step "$(basename "$1")" timeout -k 10 "$limit" node --test --test-reporter=tap "$1" || status=$?
    read -r ok bad skips < <(awk '
        /^# pass / { ok = $3 }
        /^# (fail|cancelled) / { bad += $3 }
        /^# (skipped|todo) / { skips += $3 }
        END { print ok + 0, bad + 0, skips + 0 }' "$log")
    if ((bad == 0 && (status != 0 || ok == 0))); then
        bad=1
    fi
    ((passed += ok, failed += bad, skipped += skips))
}
