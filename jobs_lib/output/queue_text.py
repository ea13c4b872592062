"""What `queue` prints: the queues, the items of one, and the story of an item."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.text import one_line, span, up_to

from .layout import Screen, cell, pairs, table, wrapped
from .terminal import paint

WIDEST, LEAST = 60, 60          # columns of a cell, and of the table behind the ids
COLOURS = {"due": "yellow", "held": "yellow", "failed": "red", "invalid": "red", "cancelled": "dim"}
SAID = ("id", "user_id", "status", "attempts")      # of what is stored, above it


def summary(found: list[dict], screen: Screen) -> str:
    """A line a queue, and below it what holds it up."""
    head, *lines = table([["QUEUE", "WAITING", "DUE", "FAILED", "DUE FOR", "JOB"], *(
        [each["queue"], *(None if each[name] is None else up_to(each[name])
                          for name in ("waiting", "due", "failed")),
         _since(each, screen), each["job"]] for each in found)])
    text = [paint("bold", head)]
    for line, each in zip(lines, found):
        text.append(line)
        text += [words for hold in each["holds"] for words in screen.below(hold)]
    text += ["", "`jobs.py queue forwards` lists its items. FAILED includes cancelled items."]
    return "\n".join(text)


def _since(each: dict, screen: Screen) -> str | None:
    moment = clock.shown(each["oldest_due_at"])
    return span(screen.now - moment) if moment and each["due"] else None


def listing(found: dict, screen: Screen) -> str:
    """A line an item; below it why it waits and the last answer."""
    items, name = found["items"], found["queue"]
    lines: list[str] = []
    for hold in found["holds"]:
        lines += [*wrapped(hold, screen.width), ""]
    if not items:
        return "\n".join([*lines, f"There is nothing to list in {name}.",
                          "With --failed it lists what failed for good, without it what waits."])
    room = max(2, *(len(str(each["id"])) for each in items))
    head, *rows = table([["ID", "OWNER", "TO", "STATE", "ATTEMPTS", "SINCE", "DUE"], *(
        [each["id"], each["owner"], each["to"], each["state"], _tries(each),
         screen.at(each["since"]), screen.at(each["next_at"])] for each in items)],
        "rllkkkk", max(screen.width, room + LEAST), WIDEST)
    lines.append(paint("bold", head))
    for row, each in zip(rows, items):
        lines.append(paint(COLOURS.get(each["state"], ""), row))
        for text in filter(None, (each["why"], each["answer"])):
            lines += screen.below(text)
    if found["more"]:
        lines += ["", f"There are more: use --limit {2 * len(items)}. `jobs.py queue` counts all."]
    last = f"`jobs.py queue {name} ID` shows one item's whole story. {screen.clock()}"
    return "\n".join([*lines, "", *wrapped(last, screen.width)])


def _tries(each: dict) -> str:
    return (f"{each['attempts']} of {each['most']}" if each["most"] and each["next_at"]
            else each["attempts"])


def story(found: dict, screen: Screen) -> str:
    kept, next_at = found["kept"], found["next_at"]
    otherwise = "waiting until then" if next_at else "nothing: finished"
    at, why = _exact(next_at, screen), found["why"]
    if next_at and next_at <= clock.text(screen.now):
        at, why = "due", f"since {at}: {why or 'waiting for its turn'}"
    facts = [("to", found["to"]), ("owner", cell(found["owner"], WIDEST)),
             ("attempts", cell(_tries(found), WIDEST)), ("answer", found["answer"])]
    parts = {
        f"{found['kind']} {found['id']}: {found['state']}": facts,
        "What happened": [(_exact(each["at"], screen), _event(each)) for each in found["events"]],
        "Next": [(at, why or otherwise), *(("", hold) for hold in found["holds"] if next_at)],
        "Kept until": [(_exact(kept["until"], screen), kept["rule"]), ("", kept["option"])],
        "Stored (times in UTC)": [(name, cell(value, 500)) for name, value
                                  in found["stored"].items() if name not in SAID]}
    lines = []
    for title, rows in parts.items():
        body = pairs([(name, value) for name, value in rows if value not in ("", "-")],
                     screen.width)
        if body or rows is facts:
            lines += [paint("bold", title), *body, ""]
    return "\n".join([*lines, f"Times are in {screen.zone}. {screen.clock()}"])


def _exact(text: str | None, screen: Screen) -> str:
    moment = clock.shown(text)
    return f"{moment.astimezone(screen.zone):%Y-%m-%d %H:%M:%S}" if moment else ""


def _event(each: dict) -> str:
    answer = " ".join(filter(None, (str(each["code"] or ""), one_line(each["answer"]))))
    return f"{each['event']}: {answer}" if answer else each["event"]
