# The clients of other languages, for conformance/src/clients: each is installed into
# .cache/clients with all that it needs, in the versions that its files pin. A
# language that is missing and cannot be installed is no failure: its tests say that
# they are skipped.
# Sourced by ./test.
# shellcheck shell=bash

clients=$root/.cache/clients

build_clients() {
    build_client python python_is_there python3 python3-venv &&
        build_client node node_is_there nodejs npm &&
        build_client java java_is_there default-jdk-headless maven
}

python_is_there() { python3 -c 'import venv, ensurepip' 2>/dev/null; }

node_is_there() { command -v node >/dev/null && command -v npm >/dev/null; }

java_is_there() { command -v javac >/dev/null && command -v mvn >/dev/null; }

# build_client LANGUAGE IS_THERE PACKAGE...: installs the packages unless they are
# there, and the client, unless that was done from the same files already.
build_client() {
    local language=$1 is_there=$2 sum
    shift 2
    "$is_there" || may_install_packages "the $language client" "$@" || return
    "$is_there" || return 0
    sum=$(sum_of_client "$language")
    [[ $(cat "$clients/$language.sum" 2>/dev/null) == "$sum" ]] && return
    mkdir -p "$clients"
    must "install the $language client" "install_$language" &&
        echo "$sum" >"$clients/$language.sum"
}

# sum_of_client LANGUAGE: of the files that decide what is installed; for Java, what
# is compiled, too.
sum_of_client() {
    local sources=$root/conformance/clients/$1
    case $1 in
    python) sha256sum "$sources/requirements.txt" ;;
    node) sha256sum "$sources"/package*.json ;;
    java) find "$sources/pom.xml" "$sources/src" -type f -print0 | sort -z | xargs -0 sha256sum ;;
    esac | sha256sum
}

# may_install_packages WHY PACKAGE...: only says so where it cannot.
may_install_packages() {
    if ((EUID == 0)) && command -v apt-get >/dev/null; then
        install_packages "$@"
    else
        say "$1 is left out. Install it with: apt-get install ${*:2} (as root)"
    fi
}

install_python() {
    python3 -m venv --clear "$clients/python" &&
        "$clients/python/bin/pip" install --quiet --disable-pip-version-check \
            --requirement conformance/clients/python/requirements.txt
}

# A copy of the manifests, so that the sources' directory stays clean.
install_node() {
    mkdir -p "$clients/node" &&
        cp conformance/clients/node/package*.json "$clients/node" &&
        npm ci --prefix "$clients/node" --ignore-scripts --no-audit --no-fund
}

# From the jars that are there, or else from Maven Central.
install_java() {
    rm -rf "$clients/java/target"
    run_maven --offline || run_maven
}

run_maven() {
    mvn --quiet --batch-mode "$@" -f conformance/clients/java/pom.xml \
        -Dmaven.repo.local="$clients/java/repository" -Dtarget="$clients/java/target" \
        compile dependency:build-classpath -Dmdep.outputFile="$clients/java/target/classpath"
}
