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
.venv\Scripts\unmask serve --open %*
if errorlevel 1 pause
