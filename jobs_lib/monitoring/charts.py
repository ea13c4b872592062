"""Small charts as inline SVG: no script, no style of their own, a text for anyone who cannot see
them or their colours.

Each is drawn in its own units and stretched to fill its box, so there is no text inside. Numbers
and axis labels are the page's. A shape or a pattern repeats the meaning of each colour.
"""
from __future__ import annotations

from html import escape

# Drawn once in the page; every chart may fill with them.
PATTERNS = """\
<svg class="defs" width="0" height="0" aria-hidden="true" focusable="false"><defs>
<pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" \
patternTransform="rotate(45)"><rect width="4" height="4" class="bad"/>\
<rect width="1.4" height="4" class="gap"/></pattern>
<pattern id="dots" width="4" height="4" patternUnits="userSpaceOnUse">\
<rect width="4" height="4" class="early"/><circle cx="2" cy="2" r=".9" class="gap"/></pattern>
</defs></svg>"""
BAR, GAP = 8, 2              # width of a day, and between two
LEAST = 3.0                  # height of what is not nothing


def picture(width: float, height: float, label: str, body: str, style: str = "chart") -> str:
    """An SVG that fills its box and reads as one sentence."""
    label = escape(label)
    return (f'<svg class="{style}" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="none" '
            f'role="img" aria-label="{label}"><title>{label}</title>{body}</svg>')


def strip(days: list, label: str, height: float = 34) -> str:
    """A job's 30 days, `[(label, share of the tallest, share of bad runs, whether any ended
    early)]`, None for a day without a run: a bar as tall as its runs took long; from the top hangs,
    hatched, the share that failed."""
    marks = []
    for number, day in enumerate(days):
        left = number * (BAR + GAP)
        if day is None:
            marks.append(_rect("none", left, height - 1, BAR, 1))
            continue
        words, share, bad, early = day
        # the root: one long day does not flatten the others
        tall = max(LEAST, (share ** 0.5) * height * 0.72)
        parts = _rect("early" if early else "ok", left, height - tall, BAR, tall)
        if bad:
            parts += _rect("bad", left, 0, BAR, max(LEAST + 2, bad * height))
        marks.append(_day(words, left, height, parts))
    return picture(len(days) * (BAR + GAP) - GAP, height, label, "".join(marks), "chart strip")


def stacked(days: list, label: str, height: float = 120) -> str:
    """Runs of each day, `[(label, ok, early, bad)]`; failed ones on top, never too thin to be
    seen."""
    most = max((ok + early + bad for _, ok, early, bad in days), default=0) or 1
    marks = []
    for number, (words, ok, early, bad) in enumerate(days):
        left, floor, parts = number * (BAR + GAP), height, ""
        for style, runs in (("ok", ok), ("early", early), ("bad", bad)):
            if runs:
                tall = max(LEAST, runs / most * (height - 2 * LEAST))
                floor -= tall
                parts += _rect(style, left, max(0.0, floor), BAR, tall)
        parts = parts or _rect("none", left, height - 1, BAR, 1)
        marks.append(_day(words, left, height, parts))
    return picture(len(days) * (BAR + GAP) - GAP, height, label, "".join(marks))


def _day(label: str, left: float, height: float, bars: str) -> str:
    """The bars of a day, and an area over the whole height that shows its label."""
    hit = _rect("hit", left, 0, BAR, height)
    return f"<g><title>{escape(label)}</title>{hit}{bars}</g>"


def meter(share: float, label: str, mark: float | None = None) -> str:
    """How full something is, 0 to 1; from `mark` on it is nearly full, and hatched when over."""
    width = 300.0
    style = "bad" if share >= 1 else "early" if mark is not None and share >= mark else "ok"
    body = _rect("track", 0, 0, width, 10) + _rect(style, 0, 0, width * min(1.0, max(0.0, share)),
                                                   10)
    if mark is not None:
        body += _rect("gap", width * mark - 0.5, 0, 1, 10)
    return picture(width, 10, label, body, "chart meter")


def _rect(style: str, x: float, y: float, width: float, height: float) -> str:
    return (f'<rect class="{style}" x="{x:g}" y="{y:.4g}" width="{width:.4g}" '
            f'height="{height:.4g}"/>')
