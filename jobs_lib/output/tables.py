"""Rows in columns, and what a dry run would do."""
from __future__ import annotations

from jobs_lib.runner.outcome import counts_words

WIDTH, NARROWEST = 80, 8         # columns of a terminal; of a table's column that has to give way
GAP = "  "


def padded(rows: list[list[str]], sides: str = "") -> list[list[str]]:
    """The cells of all rows, as wide as their columns. `sides`: l or r for each column; left is the
    default."""
    widths = _widths(rows)
    return [[f"{cell:>{width}}" if side == "r" else f"{cell:<{width}}"
             for cell, width, side in zip(row, widths, sides or "l" * len(row))] for row in rows]


def joined(cells: list[str]) -> str:
    """The cells of a row, as a line."""
    return GAP.join(cells).rstrip()


def total_width(rows: list[list[str]]) -> int:
    """How many columns of a terminal the rows take."""
    widths = _widths(rows)
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _widths(rows: list[list[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows)]


def table(rows: list[dict], widest: int = 34, width: int | None = None) -> list[str]:
    """Rows of one shape as lines in columns; long values are cut with an ellipsis, so that `width`
    is kept."""
    if not rows:
        return []
    names = list(rows[0])
    cells = [names, *([cell(row.get(name), widest) for name in names] for row in rows)]
    if width and total_width(cells) > width:
        cells = [[_without_seconds(text) for text in row] for row in cells]
    rooms = _widths(cells)
    while width and sum(rooms) + len(GAP) * (len(rooms) - 1) > width and max(rooms) > NARROWEST:
        rooms[rooms.index(max(rooms))] -= 1
    return [joined([f"{cell(text, room):<{room}}" for text, room in zip(row, rooms)])
            for row in cells]


def _folded(note: str) -> list[str]:
    from .layout import wrapped  # which a run by cron need not load
    return wrapped(note, WIDTH, "  ", "  ")


def cell(value, widest: int) -> str:
    """A value on one line, cut with an ellipsis; `-` for none."""
    text = "-" if value is None or value == "" else str(value)
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= widest else text[:widest - 1] + "\u2026"


def _without_seconds(text: str) -> str:
    """A time of the database without them; without `re`, which a run by cron need not load."""
    is_time = len(text) == 19 and (text[4], text[7], text[10], text[13], text[16]) == tuple("-- ::")
    return text[:-3] if is_time else text


def dry_run(result: dict, samples: list[dict]) -> str:
    """What a dry run would do, under a heading of its own."""
    return "\n".join([f"{result['job']}, dry run: nothing is changed", *dry_lines(result, samples)])


def dry_lines(result: dict, samples: list[dict]) -> list[str]:
    """What a dry run would do: a title a step, then a small table of rows."""
    lines = []
    for sample in samples:
        lines += ["", f"  {sample['step']}"]
        if sample["note"]:
            lines += _folded(sample["note"])
        lines += [f"    {line}" for line in table(sample["rows"], width=WIDTH - 4)]
    if result["status"] == "failed":
        return [*lines, "", f"  it would fail: {result['error']}"]
    counts = counts_words(result["counts"])
    reason = f" ({result['stop_reason']})" if result["stop_reason"] else ""
    return [*lines, "", f"  would be: {counts}{reason}" if counts else f"  nothing to do{reason}"]
