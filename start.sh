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
exec .venv/bin/unmask serve --open "$@"
