#!/usr/bin/env bash
# Makes or refreshes the virtual environment from requirements-dev.lock. Called by the Makefile: bash tools/venv.sh .venv
# Two steps, so that everything from outside is checked against its hash: first the lock, then this project without dependencies.
set -euo pipefail

venv=$1
began=$SECONDS

# A shim of a version manager may carry a name and still not run, so each candidate is asked.
find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

if ! "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    if ! python=$(find_python); then
        found=$(python3 --version 2>/dev/null || echo "no python3")
        echo "python_too_old: task-engine needs Python 3.11 or newer, and this machine has $found." >&2
        echo "  hint: install python3.11 (or newer) so that it is on the PATH, then call make again" >&2
        exit 1
    fi
    echo "making $venv with $("$python" --version) from requirements-dev.lock (about a minute) ..."
    if ! problem=$("$python" -m venv --clear "$venv" 2>&1); then
        echo "venv_missing: $python cannot make a virtual environment: $problem" >&2
        echo "  hint: on Debian and Ubuntu install the package python3-venv, then call make again" >&2
        exit 1
    fi
else
    echo "refreshing $venv from requirements-dev.lock ..."
fi

# -qq: errors only; a warning about an index that lacks a package helps nobody here.
"$venv/bin/python" -m pip install -qq --progress-bar off --require-hashes -r requirements-dev.lock
"$venv/bin/python" -m pip install -qq --progress-bar off --no-deps --no-build-isolation -e .
echo "$venv is ready ($((SECONDS - began)) s)"
