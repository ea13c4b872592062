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


def _day(label: str, left: float, height: float, bars: str) -> str:
    """The bars of a day, and an area over the whole height that shows its label."""
    hit = _rect("hit", left, 0, BAR, height)
    return f"<g><title>{escape(label)}</title>{hit}{bars}</g>"


def _rect(style: str, x: float, y: float, width: float, height: float) -> str:
    return (f'<rect class="{style}" x="{x:g}" y="{y:.4g}" width="{width:.4g}" '
            f'height="{height:.4g}"/>')
