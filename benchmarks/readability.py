"""How dense the code is, in figures: `python -m benchmarks.readability [FOLDER …]`.

They show where to look, and compare two states of a code base; no figure is a goal by itself.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path
from statistics import mean, median

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSION = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
BRANCH = (
    ast.If | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler | ast.IfExp | ast.comprehension
)
LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def complexity(function: ast.AST) -> int:
    """Cyclomatic: 1, and 1 for each branch, each `if` of a comprehension, each `and` and `or`."""
    total = 1
    for node in ast.walk(function):
        if isinstance(node, BRANCH):
            total += 1
        if isinstance(node, ast.comprehension):
            total += len(node.ifs)
        if isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
    return total


def figures(folder: Path) -> dict[str, str]:
    """The figures of all Python files below a folder."""
    texts = [path.read_text() for path in sorted(folder.rglob("*.py"))]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    functions = [node for node in nodes if isinstance(node, FUNCTION)]
    files = [len(text.splitlines()) for text in texts]
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for node in functions]
    complexities = [complexity(node) for node in functions]

    # code lines hold a token that is neither a comment, a docstring nor layout
    code_lines = tokens = comments = 0
    for text in texts:
        lines = set()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                comments += token.line.lstrip().startswith("#")
            elif token.type not in LAYOUT and not token.line.lstrip().startswith(('"""', "'''")):
                tokens += 1
                lines.add(token.start[0])
        code_lines += len(lines)

    def per_thousand(kind: type | object) -> str:
        return f"{1000 * sum(isinstance(node, kind) for node in nodes) / code_lines:.0f}"  # type: ignore[arg-type]

    wide = sum(len(line) > 100 for text in texts for line in text.splitlines())
    return {
        "files; lines; code lines": f"{len(texts)}; {sum(files)}; {code_lines}",
        "file: median / longest": f"{median(files):.0f} / {max(files)}",
        "function: median / longest": f"{median(lengths):.0f} / {max(lengths)}",
        "complexity: mean; share over 10": (
            f"{mean(complexities):.2f}; {100 * mean(value > 10 for value in complexities):.1f} %"
        ),
        "tokens per code line": f"{tokens / code_lines:.1f}",
        "lines over 100 characters": f"{100 * wide / sum(files):.1f} %",
        "comprehensions per 1,000 code lines": per_thousand(COMPREHENSION),
        "ternaries per 1,000 code lines": per_thousand(ast.IfExp),
        "block comments per 1,000 code lines": f"{1000 * comments / code_lines:.1f}",
        "modules with __all__": f"{sum('__all__ = ' in text for text in texts)}",
    }


def main() -> None:
    """A table with a column for each folder."""
    folders = [Path(name) for name in sys.argv[1:] or ("src/unmask", "tests")]
    tables = [figures(folder) for folder in folders]
    print("|  |", " | ".join(map(str, folders)), "|")
    print("|---|" + "--:|" * len(folders))
    for name in tables[0]:
        print(f"| {name} |", " | ".join(table[name] for table in tables), "|")


if __name__ == "__main__":
    main()
