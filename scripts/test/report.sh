# What ./test says, and how it counts. Sourced by ./test.
# shellcheck shell=bash

logs=$root/.cache/test-logs
step_pid=

# One row for each family: name, seconds, passed, failed, skipped.
rows=()
total_passed=0 total_failed=0 total_skipped=0

say() {
    printf '%(%H:%M:%S)T  %s\n' -1 "$*"
}

die() {
    echo "test: $*" >&2
    exit 2
}

all_succeeded() {
    ((total_failed == 0))
}

# begin FAMILY: what follows counts for it.
begin() {
    family_name=$1 family_start=$SECONDS
    passed=0 failed=0 skipped=0
}

# finish: closes the family's row.
finish() {
    local seconds=$((SECONDS - family_start))
    rows+=("$family_name $seconds $passed $failed $skipped")
    ((total_passed += passed, total_failed += failed, total_skipped += skipped))
    say "$family_name: $passed passed, $failed failed, $skipped skipped"
}

# skip WHAT WHY: counts one as skipped.
skip() {
    say "SKIPPED $1: $2"
    ((skipped += 1))
}

# check WHAT COMMAND...: a step that passes or fails as a whole.
check() {
    if step "$@"; then ((passed += 1)); else ((failed += 1)); fi
}

# must WHAT COMMAND...: a step that only counts when it fails.
must() {
    step "$@" || { ((failed += 1)); return 1; }
}

# tests WHAT COMMAND...: a step whose tests are counted from its output.
tests() {
    local status=0
    step "$@" || status=$?
    count_tests "$log" "$status"
}

# step WHAT COMMAND...: runs it with its output in a log, which is shown whole
# when it fails.
step() {
    local what=$1 status=0 start=$SECONDS
    shift
    log=$logs/$family_name-${what//[^A-Za-z0-9_.-]/_}.log
    say "$family_name: $what"
    # As a job with a process group of its own, so that an interrupt takes the
    # whole of it along, and without bash's habit of ignoring SIGINT in the
    # background, which its children would inherit.
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    step_pid=$!
    set +m
    wait "$step_pid" || status=$?
    step_pid=
    if ((status)); then
        say "$family_name: $what FAILED (status $status) after $((SECONDS - start)) s; its output:"
        cat "$log"
    fi
    return "$status"
}

stop_step() {
    trap - INT TERM
    [[ -z $step_pid ]] || kill -- "-$step_pid" 2>/dev/null
    wait
    say "interrupted"
    exit 130
}

# count_tests LOG STATUS: adds up the `test result:` lines. A test that skipped
# itself is counted as passed there and has printed a line `SKIPPED …`. A failure
# that no such line tells of, such as one to compile or a crash, counts as one.
count_tests() {
    local ok bad ignored self
    read -r ok bad ignored self < <(awk '
        /^test result: / { ok += $4; bad += $6; ignored += $8 }
        /^SKIPPED / { self++ }
        END { print ok + 0, bad + 0, ignored + 0, self + 0 }' "$1")
    if (($2 != 0 && bad == 0)); then
        bad=1
    fi
    grep '^SKIPPED ' "$1"
    ((passed += ok - self, failed += bad, skipped += ignored + self))
}

# table: all families, then the last line; exits with 1 if anything failed.
table() {
    local row name seconds p f s
    printf '\n%-12s %8s %8s %8s %8s\n' family minutes passed failed skipped
    for row in "${rows[@]}"; do
        read -r name seconds p f s <<<"$row"
        printf '%-12s %8s %8d %8d %8d\n' "$name" "$(minutes "$seconds")" "$p" "$f" "$s"
    done
    printf '%-12s %8s\n\n' total "$(minutes "$SECONDS")"
    echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
    all_succeeded
    exit
}

# minutes SECONDS: with one decimal.
minutes() {
    local tenths=$((($1 + 3) / 6))
    echo "$((tenths / 10)).$((tenths % 10))"
}
