"""What a notice says: its subject, its plain text and its HTML, from one pair of templates a kind.

`templates/KIND.txt` begins with its `Subject:` line and an empty line; `KIND.html` is what is
between the head and the signature of `layout.html`. Values are cut to one line each, so whatever a
sender or an owner wrote can add neither a line nor a header; HTML escapes them all.
"""
from __future__ import annotations

import os
import re
from datetime import timedelta
from textwrap import wrap

from jobs_lib.database.values import one_line, words
from jobs_lib.records import namedtuple
from jobs_lib.text import counted

from . import mustache
from .kinds import KINDS

OWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")
WIDTH = 72                        # columns of plain text
LONGEST = 1000                    # characters of a value: a DKIM key of 4096 bits, which is copied
# below its own beginning a folded line goes on
LABEL = re.compile(r"^ *(?:[-*] +|[A-Z][\w ]{0,18}: +)?")
DOT = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})")      # in a name of a host

Letter = namedtuple("Letter", "subject text html")


def write(ctx, kind: str, values: dict) -> Letter:
    """A notice of this kind.

    A file in `[notifications] templates` takes the place of ours of the same name. One that cannot
    be used is an error in the log, and the notice is written by ours: its reader waits for it.
    """
    if folder := ctx.section("notifications").templates:
        try:
            return compose(ctx, kind, values, folder)
        except mustache.TemplateError as error:
            ctx.log.error("template cannot be used", kind=kind, error=str(error),
                          instead="the bundle's own")
    return compose(ctx, kind, values)


def compose(config, kind: str, values: dict, folder: str = "") -> Letter:
    """The letter from templates of `folder`, where it has them, and else from ours. Besides
    `values` they know `app_url` ("" if there is none) and `signature`. Raises TemplateError."""
    known = _plain({"app_url": config.section("core").app_url.rstrip("/"), "signature":
                    _signature(vars(config.section("personas"))[KINDS[kind].persona]), **values})

    def fill(name: str, form: str, **more) -> str:
        return mustache.render(
            _template(folder, f"{name}.{form}"), {**known, **more}, html=form == "html",
            name=f"{name}.{form}", partial=lambda part: _template(folder, f"{part}.{form}"))

    def laid_out(form: str, body: str, subject: str) -> str:
        whole = fill("layout", form, body=body, subject=subject)
        if body not in whole or not body:
            raise mustache.TemplateError(f"layout.{form} or {kind}.{form}: the notice itself is "
                                         "not in it; expected a text, and {{{body}}} where it goes")
        return whole

    head, _, body = fill(kind, "txt").partition("\n\n")
    subject = one_line(head.partition("Subject:")[2], 200)
    if not head.startswith("Subject:") or "\n" in head or not subject:
        raise mustache.TemplateError(f"{kind}.txt: expected its first line to be `Subject: ...`, "
                                     "then an empty line")
    text = laid_out("txt", body.strip("\n"), subject)
    return Letter(subject, _fold(text), laid_out("html", fill(kind, "html").strip("\n"), subject))


def unlinked(text) -> str:
    """A stranger's words, so that no mail program makes a link of what is in them:
    `https[:]//shop[.]example`. Mail addresses stay."""
    return " ".join(word if "@" in word and "/" not in word else
                    DOT.sub("[.]", word.replace("://", "[:]//")) for word in words(text).split(" "))


def day(moment) -> str:
    """`25 November 2026`: no reader takes the month for the day. For an aware UTC datetime."""
    # in English whatever the host speaks: nothing here ever sets a locale
    return f"{moment.day} {moment:%B %Y}"


def minute(moment) -> str:
    """`25 November 2026 at 14:30 UTC`; the seconds are left out, so it is never later than the
    moment."""
    return f"{day(moment)} at {moment:%H:%M} UTC"


def span(length) -> str:
    """`30 days` of a timedelta, or `36 hours` where it is no whole number of days."""
    hours = length // timedelta(hours=1)
    return counted(hours, "hour") if hours % 24 else counted(hours // 24, "day")


def _signature(persona: str) -> str:
    """The name in `Name <address>`."""
    return persona.rpartition("<")[0].strip().strip('"')


def _fold(text: str) -> str:
    """Lines of at most WIDTH columns; what was folded goes on below its own beginning, behind label
    and indent. A link or an address is never broken: it may be copied."""
    lines: list[str] = []
    for line in text.split("\n"):
        label = LABEL.findall(line)[0]
        lines += [line] if len(line) <= WIDTH else wrap(
            line[len(label):], WIDTH, initial_indent=label, subsequent_indent=" " * len(label),
            break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _plain(value):
    """Each text on one line; numbers and lists stay what they are."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return one_line(value, LONGEST) if isinstance(value, (str, bytes)) else value


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
        raise mustache.TemplateError(f"{name}: cannot be read: {error}") from None
