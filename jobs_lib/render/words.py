"""Outcomes and samples in words, for a terminal and for cron's mail."""
from __future__ import annotations

import re

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\Z")
WIDTH, NARROWEST = 80, 8         # columns of a terminal; of a table's column that has to give way
VERBS = {"ok": "done", "partial": "stopped early, the next run goes on", "skipped": "not started",
         "failed": "failed", "timeout": "ended by force", "interrupted": "stopped by a signal, the next run goes on",
         "vanished": "died"}


def outcome_words(result: dict) -> str:
    """`retry_forwards: done in 1.2 s: 12 sent, 3 retried`."""
    words = f"{result['job']}: {VERBS.get(result['status'], result['status'])}"
    if result["status"] not in ("skipped", "failed"):
        words += f" in {result['duration_ms'] / 1000:.1f} s"
    why = result["error"] or result["stop_reason"]
    if why:
        words += f" ({why})" if result["status"] in ("ok", "partial", "interrupted", "timeout") else f": {why}"
    counts = counts_words(result["counts"])
    return f"{words}: {counts}" if counts and result["status"] != "failed" else words


def counts_words(counts: dict) -> str:
    """`12 sent, 3 retried`; what is zero is left out."""
    return ", ".join(f"{value:,} {_counted(name, value)}" if isinstance(value, int) else f"{name} {value}"
                     for name, value in counts.items() if value)


def _counted(name: str, value: int) -> str:
    """`1 file`, `2 files`; a count is named in the plural, or by what was done (`sent`)."""
    words = name.replace("_", " ")
    return words[:-1] if value == 1 and words.endswith("s") and not words.endswith("ss") else words


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
    """Rows of one shape as lines in columns; long values are cut with an ellipsis, so that `width` is kept."""
    if not rows:
        return []
    names = list(rows[0])
    cells = [[_cell(row.get(name), widest) for name in names] for row in rows]
    widths = _widths(names, cells)
    if width and _total(widths) > width:
        cells = [[word[:-3] if TIME.match(word) else word for word in line] for line in cells]      # the seconds
        widths = _widths(names, cells)
        while _total(widths) > width and max(widths) > NARROWEST:
            widths[widths.index(max(widths))] -= 1
    return ["  ".join(_cell(word, room).ljust(room) for word, room in zip(line, widths)).rstrip()
            for line in [names, *cells]]


def _widths(names: list[str], cells: list[list[str]]) -> list[int]:
    return [max(len(name), *(len(line[at]) for line in cells)) for at, name in enumerate(names)]


def _total(widths: list[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _cell(value, widest: int) -> str:
    words = "-" if value is None or value == "" else str(value)
    words = "".join(char if char.isprintable() else " " for char in words)
    return words if len(words) <= widest else words[:widest - 1] + "\u2026"
