"""What `jobs.py test` prints: the job and what it needs, its log, and what changed in a sandbox."""
from __future__ import annotations

from .layout import wrapped
from .tables import cell, table

WIDTH = 80
MOST_ROWS, MOST_LINES = 5, 15    # of a table; of the log, the spool and the outbox
# Kept with every run, whatever it does: a line for all of it is enough.
BOOKS = ("job_runs", "job_state", "mail_counters", "relay_state", "meta", "spool_suspects",
         "attempts")
LABELS = 9                       # columns
LONGEST_VALUE = 60
CHANGES = ("added", "changed", "deleted")


def about(paint, job: dict) -> list[str]:
    """The job in a few lines: when it runs, with which options, what it needs and whether that is
    there."""
    options = [("", f"{name} = {value}") for name, value in job["options"].items()]
    needs = [("red" if need["state"] == "missing" else "",
              f"{need['need']} {need['what']}: {need['words']}") for need in job["needs"]]
    return [paint("bold", f"{job['job']}: {job['summary']}"), "",
            *_group(paint, "when", [("", f"{job['when']}; {job['last']}")]),
            *_group(paint, "options", options), *_group(paint, "needs", needs)]


def _group(paint, label: str, parts: list[tuple[str, str]]) -> list[str]:
    """Texts (style, text) in a column of their own, folded, behind a label on the first line."""
    lines = [paint(style, line) for style, text in parts
             for line in wrapped(text, WIDTH - LABELS - 2, rest="  ")]
    labels = [label] + [""] * len(lines)
    return [f"  {paint('dim', f'{name:<{LABELS}}')}{line}" for name, line in zip(labels, lines)]


def _more(number: int, what: str = "more", indent: str = "  ") -> list[str]:
    return [f"{indent}... and {number:,} {what}"] if number > 0 else []


def events(lines: list[dict]) -> list[str]:
    """The log of a run: time, what happened, and its fields."""
    shown = [line for line in lines if line["event"] not in ("run started", "run ended")]
    return [*(text for line in shown[:MOST_LINES] for text in wrapped(
        f"{line['time'][11:]}  {line['event']}: {_fields(line)}", WIDTH, "  ", " " * 12)),
            *_more(len(shown) - MOST_LINES, "more lines")]


def _fields(line: dict) -> str:
    fields = {name: ", ".join(map(str, value)) if isinstance(value, list) else value
              for name, value in line.items() if value not in (None, "")
              and name not in ("time", "level", "event", "job", "run_id")}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in fields.items())


def changes(paint, found: dict, sample: tuple = ()) -> list[str]:
    """Which rows of which table changed, and how; of a deleted one, the columns of the job's
    `sample`."""
    lines = []
    for name, counts in found.items():
        if name not in BOOKS:
            lines.append(f"  {paint('bold', name)}: {_how_many(counts)}")
            for row in counts["rows"][:MOST_ROWS]:
                lines += _row(row, sample)
            lines += _more(sum(counts[change] for change in CHANGES) - MOST_ROWS, indent="    ")
    books = [f"{name} {_how_many(counts)}" for name, counts in found.items() if name in BOOKS]
    return lines + ([f"  the runs' own books: {'; '.join(books)}"] if books else [])


def _how_many(counts: dict) -> str:
    return ", ".join(f"{counts[change]:,} {change}" for change in CHANGES if counts[change])


def _row(row: dict, sample: tuple) -> list[str]:
    """Its key, then a line for each column that has changed."""
    key = ", ".join(f"{name} {value}" for name, value in row["key"].items())
    columns = row["columns"]
    if row["change"] == "deleted":
        was = ", ".join(f"{name} {_value(columns[name][0])}" for name in sample if name in columns)
        return wrapped(f"{key}  deleted{f': {was}' if was else ''}", WIDTH, "    ", "      ")
    is_new = row["change"] == "added"
    lines = [f"    {key}{'  added' if is_new else ''}"]
    width = max(map(len, columns), default=0) + 1
    for name, (old, new) in columns.items():
        if not is_new or new not in (None, ""):
            change = _value(new) if is_new else f"{_value(old)} -> {_value(new)}"
            lines += wrapped(change, WIDTH, f"      {name + ':':<{width}} ", " " * (width + 9))
    return lines


def _value(value) -> str:
    return cell(" ".join(str("" if value is None else value).split()), LONGEST_VALUE)


def spool(found: dict) -> list[str]:
    """Which files were added, changed and deleted."""
    lines = [f"  {change}: {name}" for change in CHANGES for name in found[change][:MOST_LINES]]
    return lines + _more(sum(map(len, found.values())) - len(lines))


def outbox(mail: list[dict]) -> list[str]:
    """The lines about what would have been sent."""
    lines = [f"  {line}" for line in table(mail[:MOST_LINES], width=WIDTH - 2)]
    return lines + _more(len(mail) - MOST_LINES)
