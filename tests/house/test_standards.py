"""docs/standards.md names each standard with the file that follows it, and that file names the
standard: in a comment or a docstring, where it is read when the code is changed."""
from __future__ import annotations

import re
from collections import namedtuple
from pathlib import Path

import pytest

from tests.house.source import ROOT, comments, docstrings, modules

PAGE = ROOT / "docs" / "standards.md"
OWN_LIST = "jobs_lib/ports/http/public_addresses.py"      # of networks, each with its source
SAMPLES = "jobs_lib/demo/"

Row = namedtuple("Row", "standard files")


def rows(text: str) -> list[Row]:
    """Of each line of a table: `| [standard](link) | what | `file`, `file` |`."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ["):
            found.append(Row(re.match(r"\[([^]]+)\]", cells[0])[1],
                             re.findall(r"`([^`]+)`", cells[-1])))
    return found


ROWS = rows(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else []
FILES = [(row.standard, name) for row in ROWS for name in row.files]


def path_of(name: str) -> Path:
    """Of a file as the page has it: below the project's folder, or below jobs_lib."""
    return next((folder / name for folder in (ROOT / "jobs_lib", ROOT) if (folder / name).exists()),
                ROOT / name)


def remarks(path: Path) -> str:
    """What a module says to its readers, or all of a page, on one line."""
    if path.suffix == ".py":
        return f"{comments(path)} {docstrings(path)}"
    return " ".join(path.read_text(encoding="utf-8").split())


def names(text: str, standard: str) -> bool:
    """Whether the text names it: `RFC 5321 4.5.2` is not named by `RFC 5321 4.5.21`."""
    return re.search(rf"(?<![\w.]){re.escape(standard)}(?![\d]|\.\d)", text) is not None


def test_the_page_lists_standards():
    assert len(FILES) > 40


def test_each_file_is_there_and_names_the_standard_that_it_follows():
    wrong = [f"{name} does not name {standard}" if path_of(name).exists() else f"there is no {name}"
             for standard, name in FILES
             if not (path_of(name).exists() and names(remarks(path_of(name)), standard))]
    assert wrong == []


def test_each_rfc_that_the_code_names_is_on_the_page():
    listed = {(path_of(name), number) for standard, name in FILES
              for number in re.findall(r"RFC (\d+)", standard)}
    cited = {(path, number) for path in modules().values()
             if not str(path.relative_to(ROOT)).startswith((OWN_LIST, SAMPLES))
             for number in re.findall(r"RFC (\d+)", remarks(path))}
    unlisted = cited - listed
    assert sorted(f"{path.relative_to(ROOT)}: RFC {number}" for path, number in unlisted) == []


@pytest.mark.parametrize("text, found", [
    ("as RFC 5321 4.5.2 says", True), ("(RFC 5321 4.5.2).", True), ("RFC 5321 4.5.21", False),
    ("RFC 5321 4.5.2.1", False), ("RFC 53210", False),
])
def test_a_standard_is_named_by_its_very_section(text, found):
    assert names(text, "RFC 5321 4.5.2") is found


def test_a_row_and_its_files_are_seen():
    table = ("| standard | what | file |\n|---|---|---|\n"
             "| [RFC 1 2.3](u) | `x` of it | `a.py`, `b/c.py` |")
    assert rows(table) == [Row("RFC 1 2.3", ["a.py", "b/c.py"])]
