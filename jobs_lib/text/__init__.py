"""Times, sizes and suggestions in the words that people use."""
from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

DURATIONS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
MOST_SUGGESTED = 3
LONGEST = 40  # of a word that is compared
COUNTED = 10_000  # rows of a queue that are counted; there may be more


def words(value) -> str:
    """Text, whatever it was stored as; undecodable octets are marked. "" for NULL."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def one_line(text, limit: int = 150) -> str:
    """Printable, on one line, cut: it adds no line and no header."""
    text = " ".join("".join(char if char.isprintable() else " " for char in words(text)).split())
    return text if len(text) <= limit else text[:limit - 1] + "\u2026"


def capital(sentence: str) -> str:
    """With a large first letter, but for the name of a job or a host."""
    return (sentence if {"_", "."} & {*sentence.partition(" ")[0]}
            else sentence[:1].upper() + sentence[1:])


def took(milliseconds: int | None) -> str:
    """How long a run took: `24 ms`, `1.3 s`, `12 s`, `3 min 20 s`, `1 h 5 min`."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1000:.1f} s"
    return span(timedelta(milliseconds=milliseconds))


def span(length: timedelta) -> str:
    """A length of time in its one or two largest units."""
    seconds = max(0, int(length.total_seconds()))
    for (large, size), (small, part) in zip(DURATIONS, DURATIONS[1:]):
        if seconds >= size:
            rest = seconds % size // part
            whole = f"{seconds // size} {large}"
            return f"{whole} {rest} {small}" if rest and seconds < 10 * size else whole
    return f"{seconds} s"


def setting(length: timedelta) -> str:
    """A duration as an option has it: `36h`, `14d`."""
    seconds = int(length.total_seconds())
    unit, size = next(each for each in DURATIONS if seconds % each[1] == 0)
    return f"{seconds // size}{unit[0]}"


def moment(time: datetime, now: datetime, zone: tzinfo) -> str:
    """A time in the zone, as short as it is clear: `15:05`, `tomorrow 03:17`, `Fri 27 Nov 03:17`,
    or with its year."""
    local, today = time.astimezone(zone), now.astimezone(zone).date()
    days = (local.date() - today).days
    clock = f"{local:%H:%M}"
    if abs(days) <= 1:
        return {0: clock, 1: f"tomorrow {clock}", -1: f"yesterday {clock}"}[days]
    if abs(days) < 180:
        return f"{local:%a} {local.day} {local:%b} {clock}"
    return f"{local:%Y-%m-%d} {clock}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 row`, `1,204 rows`; `plural` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def counts_words(counts: dict) -> str:
    """`12 sent, 3 retried`, or `10 of 50 done`; what is zero is left out."""
    counts, words = dict(counts), []
    if total := counts.pop("total", 0):
        words.append(f"{counts.pop('done', 0):,} of {total:,} done")
    for name, value in counts.items():
        if isinstance(value, int) and value:
            words.append(f"{value:,} {_unit(name, value)}")
        elif value:
            words.append(f"{name} {value}")
    return ", ".join(words)


def _unit(name: str, value: int) -> str:
    """`1 file`, `2 files`, `2 sent`."""
    words = name.replace("_", " ")
    is_plural = words.endswith("s") and not words.endswith(("ss", "us"))  # 1 unknown status
    return words[:-1] if value == 1 and is_plural else words


def up_to(number: int) -> str:
    """`2,345`, or `10,000+` where no more were counted."""
    return f"{number:,}+" if number >= COUNTED else f"{number:,}"


def size(number, base: int = 1024) -> str:
    """`740 bytes`, `12 kB`, `3.4 MB`; plans of users count by the base 1000."""
    if not isinstance(number, (int, float)) or number < 0:
        return "unknown"
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if number >= base ** power * 0.9995:  # 999,500 bytes are 1.0 MB, not 1000 kB
            rounded = number / base ** power
            digits = 1 if rounded < 9.95 and power > 1 else 0
            return f"{rounded:,.{digits}f} {unit}"
    return f"{number:,.0f} bytes"


def did_you_mean(word: str, known) -> str:
    """`; did you mean 'retry_forwards'?`, up to three, or nothing when no known word is near."""
    from difflib import get_close_matches  # loaded only where something is wrong already

    plain = {name.lower().replace("-", "_"): name for name in known}
    wrong = word.strip().lower().replace("-", "_")[:LONGEST]
    # `purge` begins several
    near = sorted(name for name in plain if name.startswith(wrong) and len(wrong) >= 3)
    near = near[:MOST_SUGGESTED] or get_close_matches(wrong, plain, n=1, cutoff=0.7)
    words = [f"'{plain[name]}'" for name in near]
    return f"; did you mean {either(words)}?" if words else ""


def either(words, last: str = "or") -> str:
    """`none, starttls or tls`."""
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if words[1:] else words[0]
