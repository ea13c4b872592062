"""Pages in a real browser: what Chromium makes of them at several widths, in light and dark.

    look([page], widths=(1280, 375))  ->  [Seen]     one for each page, width and scheme

The pages stand in frames of another page, whose script measures them; nothing is put into the pages
themselves.
"""
from __future__ import annotations

import html
import json
import re
import subprocess
from collections import namedtuple
from pathlib import Path

from tests.support.require import program

Seen = namedtuple("Seen", "page width dark width_inside scroll_width background faint console")
HEIGHT = 900
MEASURE = r"""
const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
const numbers = text => text.match(/[\d.]+/g).map(Number);
function behind(view, node) {
    for (; node; node = node.parentElement) {
        const color = numbers(view.getComputedStyle(node).backgroundColor);
        if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
}
function faint(view) {            // text with less contrast than WCAG AA asks for (4.5 to 1)
    const found = [];
    for (const node of view.document.querySelectorAll("body *")) {
        const hasText = [...node.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (node.closest("svg") || !hasText) continue;
        const colors = [numbers(view.getComputedStyle(node).color), behind(view, node)];
        const [a, b] = colors.map(luminance);
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < 4.5) found.push(node.textContent.trim().slice(0, 40) + " " + ratio.toFixed(2));
    }
    return found;
}
onload = () => {
    const seen = [...document.querySelectorAll("iframe")].map(frame => {
        const view = frame.contentWindow, root = view.document.documentElement;
        return [frame.getAttribute("src"), frame.width, root.clientWidth, root.scrollWidth,
                view.getComputedStyle(view.document.body).backgroundColor, faint(view)];
    });
    const out = document.createElement("pre");
    out.id = "seen";
    out.textContent = JSON.stringify(seen);
    document.body.append(out);
};
"""


def look(pages: list[Path], widths=(1280, 375)) -> list[Seen]:
    """What is seen of them; `faint` is text that is hard to read, `console` what the browser
    complained of."""
    folder, found = pages[0].parent, []
    frames = "".join(f'<iframe src="{page.name}" width="{width}" height="{HEIGHT}"></iframe>'
                     for page in pages for width in widths)
    (folder / "frames.html").write_text(f"<!doctype html><body>{frames}<script>{MEASURE}</script>")
    for dark in (False, True):
        done = _chromium(folder, "--dump-dom",
                         f"--blink-settings=preferredColorScheme={int(not dark)}",
                         (folder / "frames.html").as_uri())
        said = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout)
        assert said, done.stderr
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        found += [Seen(page, int(width), dark, inner, scroll, background, faint,
                       [line for line in console if f"/{page}" in line])
                  for page, width, inner, scroll, background,
                  faint in json.loads(html.unescape(said[1]))]
    return found


def picture(page: Path, target: Path, width: int, height: int) -> None:
    """A PNG of the upper part of a page, light."""
    _chromium(page.parent, f"--screenshot={target}", f"--window-size={width},{height}",
              "--hide-scrollbars", "--blink-settings=preferredColorScheme=1", page.as_uri())


def _chromium(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [program("chromium", "chromium"), "--headless", "--no-sandbox", "--disable-gpu",
         "--no-first-run", "--disable-background-networking", "--allow-file-access-from-files",
         "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", *words],
        capture_output=True, text=True, timeout=90, check=True)
