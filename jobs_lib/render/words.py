"""Outcomes and samples in words, for a terminal and for cron's mail."""
from __future__ import annotations

from datetime import timedelta

from ..history import MEMORY
from ..text import span, took

WIDTH, NARROWEST = 80, 8         # columns of a terminal; of a table's column that has to give way
THINGS = {"bytes", "files", "rows", "users"}     # a count may say what became of them: `files_removed`
WORDS = {"ok": "done in {took}{why}", "partial": "stopped early after {took}{why}, the next run goes on",
         "interrupted": "stopped by a signal after {took}{why}, the next run goes on",
         "timeout": "ended by force in {took}{why}", "skipped": "not started{because}", "failed": "failed{because}",
         "vanished": "died{because}"}


def outcome_words(result: dict) -> str:
    """`retry_forwards: done in 1.2 s: 12 sent, 3 retried`; one line, whatever an error holds."""
    why = " ".join((result["error"] or result["stop_reason"] or "").split())
    long = result["duration_ms"] >= 10_000
    words = WORDS[result["status"]].format(
        took=took(result["duration_ms"]) if long else f"{result['duration_ms'] / 1000:.1f} s",
        why=f" ({why})" if why else "", because=f": {why}" if why else "")
    counts = counts_words(result["counts"])
    return f"{result['job']}: {words}{f': {counts}' if counts and result['status'] != 'failed' else ''}"


def counts_words(counts: dict) -> str:
    """`12 sent, 3 retried`, or `10 of 50 done, 3 a second, 14 s left`; what is zero is left out."""
    counts = {name: value for name, value in counts.items() if name != MEMORY}
    if counts.get("total"):
        return _progress_words(counts)
    return ", ".join(f"{value:,} {_counted(name, value)}" if isinstance(value, int) else f"{name} {value}"
                     for name, value in counts.items() if value)


def _progress_words(progress: dict) -> str:
    words = [f"{progress.pop('done', 0):,} of {progress.pop('total'):,} done"]
    if rate := progress.pop("rate", None):
        words.append(f"{rate:,} a second")
    if left := progress.pop("seconds_left", None):
        words.append(f"{span(timedelta(seconds=left))} left")
    return ", ".join([*words, *filter(None, [counts_words(progress)])])


def _counted(name: str, value: int) -> str:
    """`1 file`, `2 files`, `1 file removed`; a count is named in the plural, or by what was done (`sent`)."""
    words = name.replace("_", " ")
    things, _, rest = words.partition(" ")
    if value == 1 and rest and things in THINGS:
        return f"{things[:-1]} {rest}"
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
        cells = [[word[:-3] if _is_time(word) else word for word in line] for line in cells]      # the seconds
        widths = _widths(names, cells)
        while _total(widths) > width and max(widths) > NARROWEST:
            widths[widths.index(max(widths))] -= 1
    return ["  ".join(_cell(word, room).ljust(room) for word, room in zip(line, widths)).rstrip()
            for line in [names, *cells]]


def _is_time(word: str) -> bool:
    """Whether it is a time as the database holds it; without `re`, which a run by cron need not load."""
    return len(word) == 19 and (word[4], word[7], word[10], word[13], word[16]) == ("-", "-", " ", ":", ":")


def _widths(names: list[str], cells: list[list[str]]) -> list[int]:
    return [max(len(name), *(len(line[at]) for line in cells)) for at, name in enumerate(names)]


def _total(widths: list[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _cell(value, widest: int) -> str:
    words = "-" if value is None or value == "" else str(value)
    words = "".join(char if char.isprintable() else " " for char in words)
    return words if len(words) <= widest else words[:widest - 1] + "\u2026"
