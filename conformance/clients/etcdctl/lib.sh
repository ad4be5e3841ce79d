# What the scenarios share. Sourced by main.sh.
# shellcheck shell=bash

ctl() { "$ETCDCTL" --endpoints "$endpoint" "$@"; }

# play SCENARIO: under a name and in a directory of its own; prints one line.
play() {
    name=$prefix-$1
    counter=${shared_counter:-$name.count}
    export counter
    saw=()
    dir=$(mktemp -d) || exit
    trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$dir"' EXIT
    "scenario_$1" && printf '{"scenario":"%s","saw":{%s}}\n' "$1" "$(joined "${saw[@]}")"
}

# fail WHY: ends the scenario.
fail() {
    printf '{"scenario":"%s","error":%s}\n' "${name#"$prefix"-}" "$(quoted "$1")"
    exit 1
}

# saw FACT JSON
saw() { saw+=("\"$1\":$2"); }

joined() {
    local IFS=,
    echo "$*"
}

# quoted TEXT: as a JSON string; line ends become spaces.
quoted() {
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    printf '"%s"' "${text//$'\n'/ }"
}

# strings: the lines of stdin as a JSON list of strings.
strings() {
    local line all=()
    while IFS= read -r line; do all+=("$(quoted "$line")"); done
    printf '[%s]' "$(joined "${all[@]}")"
}

# until_true WHAT COMMAND...: asks again and again, for at most a minute.
until_true() {
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@"; do
        ((SECONDS < end)) || fail "waited too long for $what"
        sleep 0.02
    done
}

# has_lines FILE N
has_lines() { (($(wc -l <"$1") >= $2)); }

# count PREFIX: how many keys begin with it.
count() {
    ctl get "$1" --prefix --count-only -w fields | sed -n 's/^"Count" : //p'
}

has_keys() { [[ $(count "$1") == "$2" ]]; }

# exit_of PID: how it ended, after SIGINT.
exit_of() {
    local status=0
    kill -INT "$1" 2>/dev/null
    wait "$1" || status=$?
    echo "$status"
}

now_ms() { date +%s%3N; }
