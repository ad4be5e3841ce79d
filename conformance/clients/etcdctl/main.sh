#!/usr/bin/env bash
# Locks, elections, leases and watches by etcdctl, as a shell script has them;
# ../README.md describes what it is asked and what it prints. The variable ETCDCTL
# names the program.
set -uo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=lib.sh
source "$here/lib.sh"
# shellcheck source=locks.sh
source "$here/locks.sh"
# shellcheck source=others.sh
source "$here/others.sh"

endpoint=http://127.0.0.1:2379 prefix=etcdctl shared_counter= clients=4 turns=5 ttl=3
scenarios=()
while (($#)); do
    case $1 in
    --endpoint) endpoint=$2; shift 2 ;;
    --name) prefix=$2; shift 2 ;;
    --counter) shared_counter=$2; shift 2 ;;
    --clients) clients=$2; shift 2 ;;
    --turns) turns=$2; shift 2 ;;
    --ttl) ttl=$2; shift 2 ;;
    lock | contend | expire | elect | watch | counter) scenarios+=("$1"); shift ;;
    *) echo "unknown argument \`$1\`" >&2; exit 2 ;;
    esac
done
# Child commands of etcdctl find these.
export ETCDCTL=${ETCDCTL:-etcdctl} endpoint

all_succeeded=yes
for scenario in "${scenarios[@]}"; do
    # In a process of its own, whose end takes what it started along.
    (play "$scenario") || all_succeeded=
done
[[ -n $all_succeeded ]]
