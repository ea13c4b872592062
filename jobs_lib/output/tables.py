"""What a dry run would do, and any rows as a table, for a terminal."""
from __future__ import annotations

from jobs_lib.runner.outcome import counts_words

WIDTH, NARROWEST = 80, 8         # columns of a terminal; of a table's column that has to give way


def samples_words(result: dict, samples: list[dict]) -> str:
    """What a dry run would do, under a heading of its own."""
    return "\n".join([f"{result['job']}, dry run: nothing is changed", *dry_lines(result, samples)])


def dry_lines(result: dict, samples: list[dict]) -> list[str]:
    """What a dry run would do: a title a step, then a small table of rows."""
    lines = []
    for sample in samples:
        lines += ["", f"  {sample['step']}"]
        if sample["note"]:
            lines.append(f"  {sample['note']}")
        lines += [f"    {line}" for line in table(sample["rows"], width=WIDTH - 4)]
    counts = counts_words(result["counts"])
    if result["status"] == "failed":
        return [*lines, "", f"  it would fail: {result['error']}"]
    ends = f" ({result['stop_reason']})" if result["stop_reason"] else ""
    return [*lines, "", f"  would be: {counts}{ends}" if counts else f"  nothing to do{ends}"]


def table(rows: list[dict], widest: int = 34, width: int | None = None) -> list[str]:
    """Rows of one shape as lines in columns; long values are cut with an ellipsis, so that `width`
    is kept."""
    if not rows:
        return []
    names = list(rows[0])
    cells = [[_cell(row.get(name), widest) for name in names] for row in rows]
    widths = _widths(names, cells)
    if width and _total(widths) > width:
        # the seconds
        cells = [[word[:-3] if _is_time(word) else word for word in line] for line in cells]
        widths = _widths(names, cells)
        while _total(widths) > width and max(widths) > NARROWEST:
            widths[widths.index(max(widths))] -= 1
    return ["  ".join(_cell(word, room).ljust(room) for word, room in zip(line, widths)).rstrip()
            for line in [names, *cells]]


def _is_time(word: str) -> bool:
    """Whether it is a time as the database holds it; without `re`, which a run by cron need not
    load."""
    return len(word) == 19 and (word[4], word[7], word[10], word[13], word[16]) == ("-", "-", " ",
                                                                                    ":", ":")


def _widths(names: list[str], cells: list[list[str]]) -> list[int]:
    return [max(len(name), *(len(line[at]) for line in cells)) for at, name in enumerate(names)]


def _total(widths: list[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _cell(value, widest: int) -> str:
    words = "-" if value is None or value == "" else str(value)
    words = "".join(char if char.isprintable() else " " for char in words)
    return words if len(words) <= widest else words[:widest - 1] + "\u2026"
