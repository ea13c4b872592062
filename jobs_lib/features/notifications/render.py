"""What a notice says: its subject, its plain text and its HTML, from one pair of templates a kind.

`templates/KIND.txt` begins with its `Subject:` line and an empty line; `KIND.html` is what is
between the head and the signature of `layout.html`. Values are on one line each: whatever a
stranger wrote adds neither a line nor a header.

How a template is written: text/mustache.py.
"""
from __future__ import annotations

import os
import re
from datetime import timedelta
from textwrap import wrap

from jobs_lib.records import namedtuple
from jobs_lib.text import counted, one_line, words
from jobs_lib.text.mustache import TemplateError, render

from . import KINDS

OWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")
WIDTH = 72                        # columns of plain text
BODY = "{{{body}}}"               # where in a layout the notice itself goes
DOT = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})")  # in a name of a host

Letter = namedtuple("Letter", "subject text html")


def write(ctx, kind: str, values: dict) -> Letter:
    """A notice of this kind. Where a file of `[notifications] templates` cannot be used, the log
    says so, and the notice is written by ours: its reader waits for it."""
    if folder := ctx.section("notifications").templates:
        try:
            return compose(ctx, kind, values, folder)
        except TemplateError as error:
            ctx.log.error("template cannot be used", kind=kind, error=str(error),
                          instead="the bundle's own")
    return compose(ctx, kind, values)


def compose(config, kind: str, values: dict, folder: str = "") -> Letter:
    """The letter from templates of `folder`, where it has them, and else from ours. Besides
    `values` they know `app_url` ("" if there is none) and `signature`. Raises TemplateError."""
    persona = vars(config.section("personas"))[KINDS[kind].persona]  # Name <address>
    known = {"app_url": config.section("core").app_url.rstrip("/"),
             "signature": persona.rpartition("<")[0].strip('" '), **values}

    def fill(name: str, template: str, **more) -> str:
        form = name.rpartition(".")[2]
        return render(template, {**known, **more}, html=form == "html", name=name,
                      partial=lambda part: _template(folder, f"{part}.{form}"))

    def laid_out(form: str, body: str) -> str:
        layout = f"layout.{form}"
        before, mark, behind = _template(folder, layout).partition(BODY)
        if not mark or not body:
            raise TemplateError(f"{layout} or {kind}.{form}: the notice itself is not in "
                                f"it; expected a text, and {BODY} where it goes")
        return body.join(fill(layout, part, subject=subject) for part in (before, behind))

    text, page = (fill(name, _template(folder, name)) for name in (f"{kind}.txt", f"{kind}.html"))
    head, _, body = text.partition("\n\n")
    subject = one_line(head.partition("Subject:")[2], 200)
    if not head.startswith("Subject:") or "\n" in head or not subject:
        raise TemplateError(f"{kind}.txt: expected its first line to be `Subject: ...`, "
                                "then an empty line")
    return Letter(subject, _fold(laid_out("txt", body.strip("\n"))),
                  laid_out("html", page.strip("\n")))


def unlinked(text) -> str:
    """A stranger's words, so that no mail program makes a link of what is in them:
    `https[:]//shop[.]example`. Mail addresses stay."""
    return " ".join(word if "@" in word and "/" not in word else
                    DOT.sub("[.]", word.replace("://", "[:]//")) for word in words(text).split(" "))


def day(moment) -> str:
    """`25 November 2026`: no reader takes the month for the day. For an aware UTC datetime."""
    return f"{moment.day} {moment:%B %Y}"


def minute(moment) -> str:
    """`25 November 2026 at 14:30 UTC`, never later than the moment."""
    return f"{day(moment)} at {moment:%H:%M} UTC"


def span(length) -> str:
    """`30 days` of a timedelta, or `36 hours` where it is no whole number of days."""
    hours = length // timedelta(hours=1)
    return counted(hours, "hour") if hours % 24 else counted(hours // 24, "day")


def _fold(text: str) -> str:
    """Lines of at most WIDTH columns. A link or an address is never broken: it may be copied."""
    lines: list[str] = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines += [line] if len(line) <= WIDTH else wrap(
            line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _template(folder: str, name: str) -> str:
    """The text of a template, whatever line ends an upload has given it."""
    own = os.path.join(folder, name)
    path = own if folder and os.path.lexists(own) else os.path.join(OWN, name)
    try:
        if folder and not os.path.isdir(folder):
            raise OSError(f"[notifications] templates = {folder}: there is no such folder")
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{name}: cannot be read: {error}") from None
