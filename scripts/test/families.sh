# The families of tests, and what each runs. Sourced by ./test.
# shellcheck shell=bash

families=(lint unit server crates doc outside console deny)

# How long one test program may take, in seconds, before it counts as hanging.
limit=900

list_families() {
    cat <<'LIST'
lint     formatting, clippy, go vet
unit     the tests beside the code, in every crate
server   whole-server tests, in-process
crates   the tests of the other crates: proto, client (on latchd and on etcd), cli,
         bench; whether the micro-benchmarks run
doc      the examples in the documentation
outside  the latchd binary under etcdctl, latchctl, clients of five languages, kill -9, and
         the bench; latchctl on a real etcd
console  the web console in a real browser
deny     licences, sources and advisories of the dependencies
LIST
}

is_family() {
    [[ -n $1 && " ${families[*]} " == *" $1 "* ]]
}

run_family() {
    begin "$1"
    "family_$1"
    finish
}

family_lint() {
    check "cargo fmt" cargo fmt --all --check
    check "cargo clippy" cargo clippy --workspace --all-targets -- -D warnings
    check "gofmt" gofmt_is_clean conformance/clients/go
    check "go vet" go -C conformance/clients/go vet ./...
}

# gofmt itself succeeds whatever it finds.
gofmt_is_clean() {
    local found
    found=$(gofmt -l "$1") && echo "not formatted: $found" && [[ -z $found ]]
}

family_unit() { run_programs '^[a-z]+/src/'; }

family_server() { run_programs '^server/tests/'; }

# A micro-benchmark that is not run by `cargo bench` does everything once and times nothing; it
# passes as a whole.
family_crates() {
    run_programs '^((proto|client)/tests/|cli/tests/(lock|looks|elect|usage|top)|bench/tests/floor)'
    run_programs '^server/benches/' check
}

family_doc() {
    tests "cargo test --doc" cargo test --workspace --doc
}

family_outside() {
    export LATCHD_BIN=$target/release/latchd
    run_programs '^(conformance/tests/|(bench|cli)/tests/servers)'
}

family_deny() {
    check "cargo deny" cargo deny check bans licenses sources
    if timeout 120 cargo deny fetch db >"$logs/advisories.log" 2>&1; then
        check "cargo deny: advisories" cargo deny check advisories
    else
        skip "cargo deny: advisories" "their database cannot be reached"
    fi
}

# run_programs PATTERN [check]: the test programs whose sources match, one by one, each
# in its package's directory as cargo does it. With `check` each counts as one.
run_programs() {
    local program source found= how=${2:-tests}
    while read -r program source; do
        found=yes
        "$how" "$source" timeout -k 10 "$limit" env -C "${source%%/*}" "$program"
    done < <(test_programs "$1")
    [[ -n $found ]] || check "there are tests in $1" false
}
