# `etcdctl elect` and `etcdctl watch`. Sourced by main.sh.
# shellcheck shell=bash

# Two candidates and a listener, who is there before anybody leads.
scenario_elect() {
    local one two listener
    background "$dir/listener" "$ETCDCTL" --endpoints "$endpoint" elect --listen "$name"
    listener=$!
    background "$dir/one" "$ETCDCTL" --endpoints "$endpoint" elect "$name" one
    one=$!
    until_true "the first leader" has_lines "$dir/one" 2
    until_true "the listener" has_lines "$dir/listener" 2
    background "$dir/two" "$ETCDCTL" --endpoints "$endpoint" elect "$name" two
    two=$!
    until_true "a candidate" has_keys "$name/" 2
    saw waited "$([[ -s $dir/two ]] && echo false || echo true)"
    interrupt "$one"
    saw leader_exits "$status"
    until_true "the second leader" has_lines "$dir/two" 2
    until_true "the listener" has_lines "$dir/listener" 4
    # Keys and values by turns.
    saw observed "$(sed -n 'n;p' "$dir/listener" | strings)"
    interrupt "$two"
    interrupt "$listener"
    saw listener_exits "$status"
    saw keys_left "$(count "$name/")"
}

# A key's past and present, a prefix, and a past that is forgotten.
scenario_watch() {
    local since events
    ctl put "$name" 1 >/dev/null
    since=$(ctl get "$name" -w fields | sed -n 's/^"ModRevision" : //p')
    background "$dir/events" \
        "$ETCDCTL" --endpoints "$endpoint" watch "$name" --rev "$since" --prev-kv
    events=$!
    ctl put "$name" 2 >/dev/null
    ctl del "$name" >/dev/null
    until_true "three events" has_lines "$dir/events" 13
    interrupt "$events"
    saw events "$(with_previous <"$dir/events" | strings)"
    saw watch_exits "$status"
    saw commands "$(commands "$since")"
    two_keys
    ctl compaction $((since + 1)) >/dev/null
    saw compacted "$(quoted "$(ctl watch "$name" --rev "$since" 2>&1)")"
}

# with_previous: what watch prints of a key: a type, then key and value of before,
# if there was one, then key and value.
with_previous() {
    awk '
        function show() {
            if (n == 3) print field[1], field[3]
            if (n == 5) print field[1] (field[5] == "" ? "" : " " field[5]) " after " field[3]
            n = 0
        }
        /^(PUT|DELETE)$/ { show() }
        { field[++n] = $0 }
        END { show() }'
}

# commands REVISION: what commands are told that watch runs for each event.
commands() {
    local watch
    # shellcheck disable=SC2016
    background "$dir/commands" "$ETCDCTL" --endpoints "$endpoint" \
        watch "$name" --rev "$1" -- sh -c 'echo "ran $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_VALUE"'
    watch=$!
    # Each event itself, too, and what its command prints.
    until_true "three commands" has_lines "$dir/commands" 12
    interrupt "$watch"
    # Type and value come in quotes.
    sed -n 's/^ran //p' "$dir/commands" | tr -d '"' | sed 's/ $//' | strings
}

# Two keys are written in one transaction, and deleted in another.
two_keys() {
    local watch since
    since=$(ctl get "$name" -w fields | sed -n 's/^"Revision" : //p')
    background "$dir/two" \
        "$ETCDCTL" --endpoints "$endpoint" watch "$name/" --prefix --rev $((since + 1)) -w fields
    watch=$!
    printf '\nput %s/a x\nput %s/b y\n\n\n' "$name" "$name" | ctl txn >/dev/null
    ctl del "$name/" --prefix >/dev/null
    until_true "four events" has_events "$dir/two" 4
    interrupt "$watch"
    saw prefix "$(relative <"$dir/two" | strings)"
}

has_events() { (($(grep -c '^"Value"' "$1") >= $2)); }

# relative: watch's fields as events, with revisions counted from the first.
relative() {
    sed 's/^"\([A-Za-z]*\)" : "\{0,1\}\([^"]*\)"\{0,1\}$/\1 \2/' | awk '
        $1 == "Type" { type = $2 }
        $1 == "Key" { sub(/.*\//, "", $2); key = $2 }
        $1 == "ModRevision" { at = $2; if (!first) first = at }
        $1 == "Value" { print "+" (at - first), type, key ($2 == "" ? "" : " " $2) }'
}
