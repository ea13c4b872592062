"""The drawing in docs/dev/architecture.md: which package imports which, read from the imports
themselves."""
from __future__ import annotations

from tests.house.source import imports, is_empty, is_in, modules
from tests.house.test_imports import LAYERS, LEAVES

PAGE = "docs/dev/architecture.md"
BEGIN, END = "<!-- The drawing: made by `python3 -m docs.generate`. -->\n", "<!-- End. -->\n"


def page(text: str) -> str:
    """The page with the drawing as it is now. ValueError where its two marks are missing."""
    return between(text, BEGIN, END, f"\n```\n{drawing()}```\n\n")


def between(text: str, begin: str, end: str, made: str) -> str:
    """The text with what was made between its two marks. ValueError where one is missing."""
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise ValueError(f"a page has lost its marks {begin!r} and {end!r}")
    return f"{before}{begin}{made}{end}{after}"


def drawing() -> str:
    """A row for each package, from the top; a mark in each column that it imports. Nothing left of
    the diagonal: that is what "downwards only" looks like."""
    rows = [_name(package) for packages in LAYERS[:-1] for package in packages]
    rows.append("leaves")
    arrows = {(_row(name), _row(found.module)) for name in modules() if name != "jobs_lib"
              for found in imports(name)
              if found.module in modules() and not is_empty(found.module)
              and found.module != "jobs_lib"}
    numbers = "".join(f"{number:>3}" for number in range(1, len(rows) + 1))
    lines = [f"{'':<14}{numbers}"]
    for number, row in enumerate(rows, 1):
        marks = ["." if other == row else "x" if (row, other) in arrows else "" for other in rows]
        lines.append(f"{number:>2} {row:<11}{''.join(f'{mark:>3}' for mark in marks)}")
    return "".join(line.rstrip() + "\n" for line in lines)


def _row(module: str) -> str:
    for package in (package for packages in LAYERS for package in packages):
        if is_in(module, package):
            return "leaves" if package in LEAVES else _name(package)
    raise ValueError(f"{module} has no place in the layers of tests/house/test_imports.py")


def _name(package: str) -> str:
    return "jobs.py" if package == "jobs" else package.rpartition(".")[2]
