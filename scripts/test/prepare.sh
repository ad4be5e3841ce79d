# What must be there before the tests run: compilers, protoc, a real etcd and
# etcdctl, the Go program, latchd itself. Sourced by ./test.
# shellcheck shell=bash

bin=$root/.cache/bin
target=${CARGO_TARGET_DIR:-$root/target}

deny_version=0.20.2

# Where the installers of Rust and Go put them, should PATH lack it, and what is built below.
PATH=$PATH:$HOME/.cargo/bin:/usr/local/go/bin:$root/.cache/cargo-deny/bin

# No backtraces in the errors of tests; panics keep theirs.
export RUST_LIB_BACKTRACE=0
# Exactly the Go that is installed and the versions that go.sum pins.
export GOTOOLCHAIN=local GOFLAGS='-mod=readonly -buildvcs=false' CGO_ENABLED=0

# prepare FAMILY...: for these families.
prepare() {
    begin prepare
    need_compilers && need_protoc && build_for "$@"
    finish
}

build_for() {
    local family
    for family in "$@"; do
        case $family in
        outside) build_tools && build_clients && build_latchd && build_tests || return ;;
        console) build_browser && build_latchd || return ;;
        lint) need_lints && build_locker || return ;;
        crates) build_etcd && build_tests || return ;;
        unit | server) build_tests || return ;;
        deny) need_deny || return ;;
        esac
    done
}

# missing WHAT COMMAND: says so, and counts as a failure.
missing() {
    say "MISSING $1. Install it with: $2"
    ((failed += 1))
    return 1
}

need_compilers() {
    command -v cargo >/dev/null ||
        missing Rust "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" || return
    command -v go >/dev/null ||
        missing "Go 1.26 or newer" "see https://go.dev/doc/install" || return
    command -v cc >/dev/null || install_packages "a C linker for Rust" gcc libc6-dev
}

need_lints() {
    cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 && return
    local command="rustup component add clippy rustfmt"
    command -v rustup >/dev/null || missing "clippy or rustfmt" "$command" || return
    must "$command" rustup component add clippy rustfmt
}

# One that is installed will do; else the pinned one is built, once (some minutes).
need_deny() {
    cargo deny --version >/dev/null 2>&1 && return
    must "build cargo-deny" cargo install --locked --quiet --root "$root/.cache/cargo-deny" \
        "cargo-deny@$deny_version"
}

# The build of etcd-client compiles etcd's .proto files; latchd's own does not.
need_protoc() {
    protoc_works ||
        install_packages "protoc for the build of etcd-client" protobuf-compiler libprotobuf-dev
}

# protoc_works: it is there, and so are the files that come with it.
protoc_works() {
    local dir=$root/.cache/protoc-probe
    mkdir -p "$dir"
    echo 'syntax = "proto3"; import "google/protobuf/descriptor.proto";' >"$dir/probe.proto"
    "${PROTOC:-protoc}" --proto_path="$dir" -o /dev/null "$dir/probe.proto" >/dev/null 2>&1
}

# install_packages WHY PACKAGE...: as root through apt-get, else names the command.
install_packages() {
    local why=$1
    shift
    local command="apt-get install -y --no-install-recommends $*"
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        missing "$why" "$command (as root)"
        return
    fi
    say "installing $why: $*"
    export DEBIAN_FRONTEND=noninteractive
    must "apt-get update" apt-get update &&
        must "apt-get install $*" apt-get install -y --no-install-recommends "$@"
}

build_etcd() {
    build_go etcd conformance/etcd go.etcd.io/etcd/server/v3
}

build_tools() {
    build_etcd &&
        build_go etcdctl conformance/etcd go.etcd.io/etcd/etcdctl/v3 &&
        build_locker
}

build_locker() {
    build_go locker conformance/clients/go .
}

# build_go NAME MODULE PACKAGE: into .cache/bin, unless that was built from the
# same files already.
build_go() {
    local name=$1 module=$2 package=$3 sum
    sum=$(cat "$module"/go.mod "$module"/go.sum "$module"/*.go | sha256sum)
    if [[ -x $bin/$name && $(cat "$bin/$name.sum" 2>/dev/null) == "$sum" ]]; then
        return
    fi
    mkdir -p "$bin"
    must "build $name" go -C "$module" build -trimpath -o "$bin/$name" "$package" &&
        echo "$sum" >"$bin/$name.sum"
}

# The server that the outside tests start, built as the README says; protoc is
# hidden, because that build must not need it.
build_latchd() {
    must "build latchd" env PROTOC=/nonexistent/protoc cargo build --release -p latchd
}

# All tests in one build: each selection of packages would build their
# dependencies anew, with the features that it needs.
build_tests() {
    [[ -z ${tests_are_built:-} ]] || return 0
    must "build the tests" build_test_programs && tests_are_built=yes
}

build_test_programs() {
    cargo test --workspace --tests --no-run \
        --message-format=json-render-diagnostics >"$logs/artifacts.json"
}

# test_programs PATTERN: `PROGRAM SOURCE` of each test program whose source's path
# in the repository matches the extended regular expression.
test_programs() {
    sed -nE 's/.*"src_path":"([^"]*)".*"profile":\{[^}]*"test":true.*"executable":"([^"]*)".*/\2 \1/p' \
        "$logs/artifacts.json" |
        awk -v root="$root/" -v pattern="$1" '
            index($2, root) == 1 { $2 = substr($2, length(root) + 1) }
            $2 ~ pattern' |
        sort -u -k 2
}
