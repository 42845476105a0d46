"""The one palette: of the web page, reports, the archive's overview, the lab's pages and drawings.

Text and its background have a contrast of at least 4.5 : 1 in light and dark (WCAG 2.2, 1.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "ink": "#171c26",
    "soft": "#545f70",
    "white": "#ffffff",
    "mist": "#f6f7f9",
    "line": "#dde2e9",
    "faint": "#eceff3",
    "accent": "#243b6b",
    "on-accent": "#ffffff",
    "focus": "#2f6fed",
    "fake": "#a8201a",
    "real": "#14663a",
    "inconclusive": "#7a5200",
    "not_applicable": "#4a5560",
}
"""By what they are for; `white` and `mist` are the two surfaces."""

DARK: Mapping[str, str] = {
    "ink": "#e8ebf0",
    "soft": "#a5afbf",
    "white": "#10141a",
    "mist": "#181d25",
    "line": "#323a46",
    "faint": "#232a34",
    "accent": "#9db7f2",
    "on-accent": "#10141a",
    "focus": "#8ab0ff",
    "fake": "#ff9a90",
    "real": "#7fdca6",
    "inconclusive": "#f0c46c",
    "not_applicable": "#b4bec9",
}

ON_STAGE: Mapping[str, str] = {
    "stage": "#0c1016",
    "stage-fake": "#ff6b5e",
    "stage-real": "#4ade80",
    "stage-inconclusive": "#ffc14d",
    "stage-not_applicable": "#cbd5e1",
}
"""What is drawn over pictures and videos, light or dark."""


def stylesheet() -> str:
    """Custom properties for CSS: `--ink`, `--soft`, …, light or dark as the reader's machine is.

    `--paper` is the surface of a document, `--card` what lies on it.
    """
    surfaces = "--paper: var(--white); --card: var(--mist);"
    return (
        f":root {{ color-scheme: light dark; {_properties({**LIGHT, **ON_STAGE})} {surfaces} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_properties(DARK)} }} }}\n"
        f"@media print {{ :root {{ color-scheme: light; {_properties(LIGHT)} }} }}\n"
    )


def _properties(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())
