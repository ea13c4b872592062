"""The status page as a browser shows it: on a desk and on a phone, by day and by night."""
from __future__ import annotations

import pytest

from jobs_lib import config, publish
from jobs_lib.ports.db import connect
from jobs_lib.schema.migrations import migrate
from tests.support.bench import NOW
from tests.support.browser import look
from tests.support.past import fill

pytestmark = pytest.mark.slow
NAMES = ("well", "troubled", "new", "private")
BAD = """<!doctype html>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<p style="width:2000px;color:#888;background:#999">faint<script>1</script>"""
LIGHT, DARK = "rgb(244, 245, 247)", "rgb(15, 18, 22)"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Everything that the browser saw of four pages."""
    folder = tmp_path_factory.mktemp("pages")
    for name in NAMES:
        (folder / f"{name}.ini").write_text(f"[core]\ndatabase = sqlite:///{name}.db\n")
        db = connect(f"sqlite:///{folder}/{name}.db", create=True)
        migrate(db, NOW)
        if name != "new":
            fill(db, NOW, troubled=name != "well")
        text = publish.page(config.load(str(folder / f"{name}.ini"), beside=str(folder)), db, NOW, name == "private")
        (folder / f"{name}.html").write_text(text)
        db.close()
    (folder / "bad.html").write_text(BAD)
    return look([folder / f"{name}.html" for name in (*NAMES, "bad")])


@pytest.fixture(scope="module")
def pages(seen):
    """Those of the product."""
    found = [each for each in seen if each.page != "bad.html"]
    assert {(each.page, each.width) for each in found} == {(f"{name}.html", width) for name in NAMES
                                                          for width in (1280, 375)}
    return found


def test_it_needs_no_sideways_scrolling(pages):
    assert [each for each in pages if each.scroll_width > each.width_inside] == []


def test_the_browser_has_nothing_to_complain_of(pages):
    assert {line for each in pages for line in each.console} == set()


def test_it_is_light_by_day_and_dark_by_night(pages):
    assert {each.background for each in pages if not each.dark} == {LIGHT}
    assert {each.background for each in pages if each.dark} == {DARK}


def test_all_text_can_be_read(pages):
    assert {words for each in pages for words in each.faint} == set()


def test_a_bad_page_is_seen_to_be_bad(seen):
    bad = [each for each in seen if each.page == "bad.html"]
    assert all(each.scroll_width > each.width_inside and each.faint and each.console for each in bad)
