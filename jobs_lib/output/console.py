"""What a person sees: nothing under cron, short lines on a terminal."""
from __future__ import annotations

import os
import sys

SPACES = ("\n\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
          "\u202f\u205f\u3000")
# Printable by name, and nothing to be seen: default ignorable code points (UAX 44), which Python
# calls letters or marks
HIDDEN_SIGNS = ("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0"
                "\ufff0-\ufff8\U000e0000-\U000e0fff]")
# columns: of a terminal of unknown width, and as far as text is read well
NARROW, WIDEST = 80, 100
STDOUT = "standard output"

# Stands for `ESC [` until the console writes it: no row can hold it, so that no row can colour
# anything.
MARK = f"\x1b{os.urandom(8).hex()}["
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Console:
    """Text on stdout, failures on stderr. `level`: -1 quiet, 0 only failures, as cron wants it, 1
    everything."""

    def __init__(self, level: int | None = None) -> None:
        guard()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                # a stream without umlauts must not end a run
                stream.reconfigure(errors="backslashreplace")
        if level is None:
            level = 1 if _is_terminal(sys.stdout) else 0
        self.level = level
        self.samples: list = []

    def say(self, words: str = "") -> None:
        """Print a line for someone at a terminal."""
        if self.level > 0:
            self.report(words)

    def report(self, words: str) -> None:
        """Print a sentence that was asked for, on stdout, at every level."""
        self.answer(folded(words, sys.stdout))

    def answer(self, text: str) -> None:
        """A table or a document that was asked for, on stdout as it is."""
        print(text)

    def document(self, value) -> None:
        """The answer to `--json`; in ASCII on a terminal, since anybody may have written its
        texts."""
        import json
        text = json.dumps(value, default=str,
                          ensure_ascii=_is_terminal(sys.stdout))
        self.answer(text)

    def fail(self, words: str) -> None:
        """One clear line on stderr: cron mails it."""
        if self.level >= 0:
            # where both go to one file, in the order of what was said; None: `>&-`
            print(end="", flush=True)
            text = folded(words, sys.stderr)
            try:  # noqa: SIM105  contextlib is not loaded otherwise
                print(text, file=sys.stderr)
            except OSError:  # nobody will ever read it, and the jobs have to go on
                pass

    def sample(self, title: str, rows: list[dict], note: str) -> None:
        """Keep what a dry run found; shown at its end, or inside its JSON."""
        self.samples.append({"step": title, "note": note, "rows": rows})


class Output:
    """A standard stream, whose name is in the error of a write to it: else that could be of any
    file.

    A terminal shows the characters of a text and obeys none of them: what would move the cursor,
    reverse the writing or hide something is shown as \\u001b, as JSON writes it.
    """

    def __init__(self, stream, name: str) -> None:
        self.bare, self.name = stream, name

    def write(self, text: str) -> int:
        """All of it; on a terminal with nothing in it that it obeys but line ends, and colours of
        ours."""
        shown = visible(text) if self.bare.isatty() else text
        self._named(self.bare.write, shown)
        return len(text)

    def writelines(self, lines) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream below."""
        self._named(self.bare.flush)

    def _named(self, call, *arguments) -> None:
        try:
            call(*arguments)
        except OSError as error:
            error.filename = error.filename or self.name
            raise

    def __getattr__(self, name: str):
        return getattr(self.bare, name)


def guard() -> None:
    """From here on everything is printed through `Output`."""
    for name, words in (("stdout", STDOUT), ("stderr", "standard error")):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Output):
            setattr(sys, name, Output(stream, words))


def visible(text: str) -> str:
    """The text as a terminal may be given it. Of a line end, CR LF becomes LF."""
    if text.isascii() and text.isprintable():
        return text
    return "\x1b[".join(map(_escaped, text.split(MARK)))


def _escaped(text: str) -> str:
    import re
    text = re.sub(HIDDEN_SIGNS, lambda found: _escape(found[0]), text.replace("\r\n", "\n"))
    return "".join(sign if sign.isprintable() or sign in SPACES
                   else _escape(sign) for sign in text)


def _escape(sign: str) -> str:
    code = ord(sign)
    if code > 0xffff:                   # as JSON does: `--json` stays a document
        return f"\\u{0xd7c0 + (code >> 10):04x}\\u{0xdc00 + (code & 0x3ff):04x}"
    return f"\\u{code:04x}"


def folded(text: str, stream) -> str:
    """The text with its long lines folded between words, on a terminal only: a pipe gets whole
    lines."""
    if not _is_terminal(stream):
        return text
    import textwrap
    width, lines = min(columns(stream), WIDEST), []
    for line in text.split("\n"):
        indent = line[:len(line) - len(line.lstrip())]
        lines.append(line if len(line) <= width else textwrap.fill(
            line, width, subsequent_indent=indent + "  ", break_long_words=False,
            break_on_hyphens=False))
    return "\n".join(lines)


def columns(stream=None) -> int:
    """How wide the terminal behind a stream is; 80 where there is none. `COLUMNS` wins, as
    everywhere."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns or NARROW
    except (AttributeError, ValueError, OSError):       # closed, captured, or no terminal
        return NARROW


def _is_terminal(stream) -> bool:
    return stream is not None and stream.isatty()


class Paint:
    """`paint("bold", "Words")`: on a terminal only, never where NO_COLOR is set
    (https://no-color.org) or TERM is missing or dumb; else the words stay as they are."""

    def __init__(self, stream, environ=os.environ) -> None:
        terminal = stream is not None and stream.isatty()           # None: `>&-`
        able = environ.get("TERM", "dumb") not in ("", "dumb")
        self.colours = terminal and able and not environ.get("NO_COLOR")

    def __call__(self, style: str, words: str) -> str:
        """The words in a style of `STYLES`; "" is none."""
        if not (style and words and self.colours):
            return words
        return f"{MARK}{STYLES[style]}m{words}{MARK}0m"
