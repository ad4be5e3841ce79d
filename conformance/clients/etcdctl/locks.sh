# `etcdctl lock`, without a command and with one. Sourced by main.sh.
# shellcheck shell=bash

# background FILE COMMAND...: starts it with its output in a file; $! is its
# process. As a job of its own, because a shell without job control has its
# background jobs ignore SIGINT.
background() {
    local file=$1
    shift
    : >"$file"
    set -m
    "$@" >"$file" 2>"$file.errors" </dev/null &
    set +m
}

# interrupt PID: sets `status` to how it ended.
interrupt() {
    status=0
    kill -INT "$1"
    wait "$1" || status=$?
}

# lease_of KEY: in hexadecimal.
lease_of() {
    printf '%x' "$(ctl get "$1" -w fields | sed -n 's/^"Lease" : //p')"
}

# A holder, a waiter who gets the lock when the holder is interrupted, and the
# ways in which a lock with a command ends.
scenario_lock() {
    local one two key
    background "$dir/one" "$ETCDCTL" --endpoints "$endpoint" lock "$name"
    one=$!
    until_true "the lock" has_lines "$dir/one" 2
    key=$(head -n 1 "$dir/one")
    saw key "$(quoted "$key")"
    saw lease "\"$(lease_of "$key")\""
    background "$dir/two" "$ETCDCTL" --endpoints "$endpoint" lock "$name"
    two=$!
    until_true "a waiter" has_keys "$name/" 2
    saw waited "$([[ -s $dir/two ]] && echo false || echo true)"
    interrupt "$one"
    saw holder_exits "$status"
    until_true "the waiter's lock" has_lines "$dir/two" 2
    saw after true
    interrupt "$two"
    saw waiter_exits "$status"
    # shellcheck disable=SC2016
    saw child_exits "[$(exit_of 'exit 0'),$(exit_of 'exit 7'),$(exit_of 'kill -9 $$')]"
    saw child_is_told "$(child_is_told)"
    saw keys_left "$(count "$name/")"
}

# exit_of SCRIPT: how a lock ends whose command is the script.
exit_of() {
    ctl lock "$name" -- sh -c "$1" >/dev/null 2>&1
    echo $?
}

# child_is_told: whether the command learns the lock's key, and the revision at
# which it was created.
child_is_told() {
    # shellcheck disable=SC2016
    ctl lock "$name" -- sh -c '
        created=$("$ETCDCTL" --endpoints "$endpoint" get "$ETCD_LOCK_KEY" -w fields |
            sed -n "s/^\"CreateRevision\" : //p")
        [ "$created" = "$ETCD_LOCK_REV" ] && echo true || echo false'
}

# All queue behind a holder, one after the other, and take their turns.
scenario_contend() {
    local holder one all=()
    export dir
    background "$dir/holder" "$ETCDCTL" --endpoints "$endpoint" lock "$name"
    holder=$!
    until_true "the lock" has_lines "$dir/holder" 2
    touch "$dir/grants"
    for ((one = 0; one < clients; one++)); do
        take_turns "$one" &
        all+=($!)
        until_true "$((one + 2)) keys" has_keys "$name/" $((one + 2))
    done
    interrupt "$holder"
    wait "${all[@]}" || fail "a turn failed"
    saw order "[$(grep -v overlap "$dir/grants" | awk '!seen[$1]++' | paste -sd,)]"
    saw turns "$(grep -cv overlap "$dir/grants")"
    saw overlaps "$(grep -c overlap "$dir/grants")"
    saw keys_left "$(count "$name/")"
}

# take_turns CLIENT
take_turns() {
    local turn
    trap - EXIT
    for ((turn = 0; turn < turns; turn++)); do
        # shellcheck disable=SC2016
        ctl lock "$name" -- sh -c '
            mkdir "$dir/inside" || echo overlap >>"$dir/grants"
            echo "$0" >>"$dir/grants"
            rmdir "$dir/inside"' "$1" || return
    done
}

# A holder is killed, and a waiter gets its lock when the lease ends; another,
# with a lease as short, goes on holding.
scenario_expire() {
    local start silent kept waiter key lease
    background "$dir/kept" "$ETCDCTL" --endpoints "$endpoint" lock "$name-kept" --ttl "$ttl"
    kept=$!
    start=$(now_ms)
    background "$dir/silent" "$ETCDCTL" --endpoints "$endpoint" lock "$name" --ttl "$ttl"
    silent=$!
    until_true "the lock" has_lines "$dir/silent" 2
    key=$(head -n 1 "$dir/silent")
    lease=$(lease_of "$key")
    saw ttl "$(ctl lease timetolive "$lease" | sed 's/.*TTL(\([0-9]*\)s),.*/\1/')"
    kill -KILL "$silent"
    background "$dir/waiter" "$ETCDCTL" --endpoints "$endpoint" lock "$name"
    waiter=$!
    until_true "the waiter's lock" has_lines "$dir/waiter" 2
    saw after_ms $(($(now_ms) - start))
    late=$(ctl lease keep-alive --once "$lease" 2>&1)
    saw late_keepalive "$(quoted "${late//$lease/LEASE}")"
    saw kept_alive "$([[ $(count "$name-kept/") == 1 ]] && echo true || echo false)"
    interrupt "$waiter"
    interrupt "$kept"
    saw keys_left "$(count "$name")"
}

# All increment one key by a get and a put, with only the lock between them.
scenario_counter() {
    local one all=()
    echo '{"ready":"counter"}'
    for ((one = 0; one < clients; one++)); do
        count_up &
        all+=($!)
    done
    wait "${all[@]}" || fail "a turn failed"
    saw counter "$(ctl get "$counter" --print-value-only)"
}

count_up() {
    local turn
    trap - EXIT
    for ((turn = 0; turn < turns; turn++)); do
        # shellcheck disable=SC2016
        ctl lock "$name" -- sh -c '
            seen=$("$ETCDCTL" --endpoints "$endpoint" get "$counter" --print-value-only)
            "$ETCDCTL" --endpoints "$endpoint" put "$counter" $((seen + 1))' >/dev/null || return
    done
}
