#!/usr/bin/env bash
# Runs the Autobahn|Testsuite against a client: run.sh TESTEE [--cases GLOBS] [--out FILE] [--update] [-- ARGUMENT...]
# Owns the Python environment, made on first use; everything else is in harness/.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
environment=${WSSTREAM_BUILD:-$repository/build}/autobahn-venv
# As in harness/__main__.py.
exit_environment=2

fail() {
    echo "autobahn: $*" >&2
    exit "$exit_environment"
}

# Prints the first interpreter, beginning with $PYTHON, that can translate Python 2 and make an environment.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3; do
        if "$candidate" - >/dev/null 2>&1 <<'PYTHON'; then
import sys
import ensurepip, lib2to3, venv
sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON
            command -v "$candidate"
            return
        fi
    done
    return 1
}

install_python() {
    if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-venv python3-lib2to3
}

make_environment() {
    local python
    python=$(find_python) || {
        install_python >&2 || true
        python=$(find_python)
    } || fail "Python 3.11 or 3.12 with venv and lib2to3 is needed (Debian: python3-venv, python3-lib2to3)"
    echo "autobahn: making $environment with $python" >&2
    fill_environment "$python" || fail "cannot make $environment"
}

fill_environment() {
    local pip=("$environment/bin/python" -m pip --quiet --disable-pip-version-check install --require-hashes)
    "$1" -m venv --clear "$environment" &&
        "${pip[@]}" -r "$here/requirements-build.txt" &&
        "${pip[@]}" --no-build-isolation -r "$here/requirements.txt"
} >&2

# The stamp is written last, so an environment that was interrupted or is of other requirements is made anew.
wanted=$(cat "$here/requirements-build.txt" "$here/requirements.txt")
stamp=$environment/requirements.stamp
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    make_environment
    echo "$wanted" >"$stamp"
fi

exec "$environment/bin/python" -B "$here/harness" "$@"
