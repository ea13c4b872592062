"""What `queue` prints: the queues, the items of one, and the story of an item."""
from __future__ import annotations

from jobs_lib.database import stored
from jobs_lib.engines.work_queue import in_words
from jobs_lib.text import span, took

from . import layout
from .layout import one_line, pairs, wrapped
from .screen import Screen
from .tables import cell, joined, padded, total_width

COLOURS = {"due": "yellow", "waiting": "", "being sent": "cyan", "failed": "red",
           "invalid": "red", "cancelled": "dim", "sent": "green", "delivered": "green",
           "ready": "green", "verified": "green"}
HEADS = ["ID", "OWNER", "TO", "STATE", "TRIES", "SINCE", "NEXT"]
TO, NARROWEST = 2, 12


def summary(found: list[dict], left_out: list[str], screen: Screen) -> str:
    """A line a queue, and below it what holds it up; but for those that are left out."""
    found = [each for each in found if each["queue"] not in left_out]
    rows = [[each["queue"], *(_number(each[name]) for name in ("waiting", "due", "failed")),
             _since(each, screen), each["job"]] for each in found]
    head, *lines = map(joined, padded([["QUEUE", "WAITING", "DUE", "FAILED", "DUE FOR", "JOB"],
                                       *rows], "lrrrrl"))
    text = [screen.paint("bold", head)]
    for line, each in zip(lines, found):
        text.append(line)
        for hold in each["holds"]:
            text += screen.below(hold)
    text += layout.left_out(left_out, screen.width)
    return "\n".join([*text, "", "`jobs.py queue forwards` lists the items of a queue."])


def _number(number: int | None) -> str:
    return "-" if number is None else in_words(number)


def _since(each: dict, screen: Screen) -> str:
    moment = stored.time(each["oldest_due_at"])
    return span(screen.now - moment) if moment and each["due"] else "-"


def listing(found: dict, nothing: str, screen: Screen) -> str:
    """A line an item; below it, where there is any, why it waits and what the last answer was."""
    lines = [line for hold in found["holds"] for line in wrapped(hold, screen.width)]
    if lines:
        lines.append("")
    if not found["items"]:
        return "\n".join([*lines, nothing])
    rows = [HEADS, *(_cells(each, screen) for each in found["items"])]
    over = total_width(rows) - screen.width
    if over > 0:
        room = max(NARROWEST, max(len(row[TO]) for row in rows) - over)
        rows = [[*row[:TO], cell(row[TO], room), *row[TO + 1:]] for row in rows]
    head, *table = padded(rows, "rrlllll")
    lines.append(screen.paint("bold", joined(head)))
    for cells, each in zip(table, found["items"]):
        colour = COLOURS.get(each["state"], "")
        cells[3] = screen.paint(colour, cells[3]) if colour else cells[3]
        lines.append(joined(cells))
        for text in (each["why"], each["answer"]):
            if text:
                lines += screen.below(one_line(text))
    if found["more"]:
        lines += ["", f"There are more: --limit {2 * len(found['items'])} shows more of them."]
    return "\n".join([*lines, "", *wrapped(
        f"`jobs.py queue {found['queue']} ID` tells the whole story of one. {screen.clock()}",
        screen.width)])


def _cells(each: dict, screen: Screen) -> list[str]:
    tries = "-" if each["attempts"] is None else cell(each["attempts"], 12)
    if each["most"]:
        tries += f" of {each['most']}"
    return [str(each["id"]), cell(each["owner"], 20), cell(each["to"], 60), each["state"], tries,
            screen.at(each["since"]), screen.at(each["next_at"])]


def story(found: dict, screen: Screen) -> str:
    """The whole story, in parts."""
    tries = "" if found["attempts"] is None else cell(found["attempts"], 12)
    facts = [("to", found["to"]), ("owner", cell(found["owner"], 20)),
             ("attempts", f"{tries} of {found['most']}" if found["most"] else tries)]
    lines = [screen.paint("bold", f"{found['kind']} {found['id']}: {found['state']}"),
             *pairs([(name, value) for name, value in facts if value], screen.width)]
    lines += _part("What happened", [(_exact(each["at"], screen), _event(each))
                                     for each in found["events"]], screen)
    lines += _part("Next", [(_exact(found["next"]["at"], screen), "; ".join(filter(None, (
        found["next"]["what"], found["next"]["why"]))))], screen)
    for hold in found["holds"] if found["next"]["at"] else ():
        lines += wrapped(hold, screen.width, "  ", "  ")
    return "\n".join([*lines, *_ending(found, screen)])


def _ending(found: dict, screen: Screen) -> list[str]:
    """Until when it is kept, and what is stored."""
    kept = found["kept"]
    until = (_exact(kept["until"], screen), "; ".join(filter(None, (kept["option"], kept["rule"]))))
    stored_values = [(name, cell(value, 500)) for name, value in found["stored"].items()
                     if value not in (None, "")]
    others = "" if screen.zone_name == "UTC" else ", those of `Stored` in UTC"
    zone = f"Times are in {screen.zone_name}{others}. {screen.clock()}"
    return [*_part("Kept until", [until], screen), *_part("Stored", stored_values, screen), "",
            *wrapped(zone, screen.width)]


def _part(title: str, rows: list[tuple[str, str]], screen: Screen) -> list[str]:
    return ["", screen.paint("bold", title), *pairs(rows, screen.width)] if rows else []


def _exact(text: str | None, screen: Screen) -> str:
    moment = stored.time(text)
    return f"{moment.astimezone(screen.zone):%Y-%m-%d %H:%M:%S}" if moment else "-"


def _event(each: dict) -> str:
    answer = " ".join(filter(None, (str(each["code"] or ""), one_line(each["answer"] or ""))))
    parts = [each["event"], *([answer] if answer else [])]
    if each["duration_ms"] is not None:
        parts.append(took(each["duration_ms"]))
    return ", ".join([": ".join(parts[:2]), *parts[2:]]) if answer else ", ".join(parts)
