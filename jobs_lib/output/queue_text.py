"""What `queue` prints: the queues, the items of one, and the story of an item."""
from __future__ import annotations

from jobs_lib.database import stored
from jobs_lib.engines.due import in_words
from jobs_lib.text import span

from . import layout
from .layout import one_line, pairs, wrapped
from .screen import Screen
from .tables import cell, joined, padded, total_width

COLOURS = {"due": "yellow", "waiting": "", "being sent": "cyan", "failed": "red",
           "invalid": "red", "cancelled": "dim", "sent": "green", "delivered": "green",
           "ready": "green", "verified": "green"}
HEADS = ["ID", "OWNER", "TO", "STATE", "TRIES", "SINCE", "NEXT"]
TO, NARROWEST = 2, 12
SAID = ("id", "user_id", "status", "attempts")      # of what is stored, above it


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
    return [str(each["id"]), cell(each["owner"], 20), cell(each["to"], 60), each["state"],
            _tries(each), screen.at(each["since"]), screen.at(each["next_at"])]


def _tries(each: dict) -> str:
    return cell(each["attempts"], 12) + (f" of {each['most']}" if each["most"] else "")


def story(found: dict, screen: Screen) -> str:
    """The whole story, in parts."""
    facts = [("to", found["to"]), ("owner", cell(found["owner"], 20)),
             ("attempts", "" if found["attempts"] is None else _tries(found)),
             ("answer", one_line(found["answer"]))]
    lines = [screen.paint("bold", f"{found['kind']} {found['id']}: {found['state']}"),
             *pairs([(name, value) for name, value in facts if value], screen.width)]
    lines += _part("What happened", [(_exact(each["at"], screen), _event(each))
                                     for each in found["events"]], screen)
    following, kept = found["next"], found["kept"]
    lines += _part("Next", [(_exact(following["at"], screen), "; ".join(filter(None, (
        following["what"], following["why"]))))], screen)
    for hold in found["holds"] if following["at"] else ():
        lines += wrapped(hold, screen.width, "  ", "  ")
    lines += _part("Kept until", [(_exact(kept["until"], screen), "; ".join(filter(None, (
        kept["option"], kept["rule"]))))], screen)
    lines += _part("Stored", [(name, cell(value, 500)) for name, value in found["stored"].items()
                              if value not in (None, "") and name not in SAID], screen)
    others = "" if screen.zone_name == "UTC" else ", those of `Stored` in UTC"
    return "\n".join([*lines, "", *wrapped(f"Times are in {screen.zone_name}{others}. "
                                           f"{screen.clock()}", screen.width)])


def _part(title: str, rows: list[tuple[str, str]], screen: Screen) -> list[str]:
    """Pairs below a heading, or one sentence that has no time."""
    body = pairs([(name or "-", value) for name, value in rows], screen.width)
    if len(rows) == 1 and not rows[0][0]:
        body = wrapped(rows[0][1], screen.width, "  ", "  ")
    return ["", screen.paint("bold", title), *body] if rows else []


def _exact(text: str | None, screen: Screen) -> str:
    moment = stored.time(text)
    return f"{moment.astimezone(screen.zone):%Y-%m-%d %H:%M:%S}" if moment else ""


def _event(each: dict) -> str:
    answer = " ".join(filter(None, (str(each["code"] or ""), one_line(each["answer"] or ""))))
    return f"{each['event']}: {answer}" if answer else each["event"]
