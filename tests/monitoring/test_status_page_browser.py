"""The status page as a browser shows it: on a desk and on a phone, by day and by night."""
from __future__ import annotations

import pytest

from jobs_lib.config import loader
from jobs_lib.database.connection import connect
from jobs_lib.database.schema.migrate import migrate
from jobs_lib.monitoring import publish
from tests.support.bench import NOW
from tests.support.browser import look
from tests.support.past import fill

NAMES = ("well", "troubled", "new", "private")
BAD = """<!doctype html>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<p style="width:2000px;color:#888;background:#999">faint<script>1</script>"""
LIGHT, DARK = "rgb(244, 245, 247)", "rgb(15, 18, 22)"


@pytest.fixture
def seen(tmp_path):
    """Everything that the browser saw of four pages, and of one that is bad: in one test, since
    this takes seconds."""
    folder = tmp_path
    for name in NAMES:
        (folder / f"{name}.ini").write_text(f"[core]\ndatabase = sqlite:///{name}.db\n")
        db = connect(f"sqlite:///{folder}/{name}.db", create=True)
        migrate(db, NOW)
        if name != "new":
            fill(db, NOW, troubled=name != "well")
        text = publish.page(loader.load(str(folder / f"{name}.ini"), beside=str(folder)), db, NOW,
                            name == "private")
        (folder / f"{name}.html").write_text(text)
        db.close()
    (folder / "bad.html").write_text(BAD)
    return look([folder / f"{name}.html" for name in (*NAMES, "bad")])


def test_a_browser_finds_no_fault_in_the_pages_on_a_desk_and_on_a_phone_by_day_and_by_night(seen):
    pages = [each for each in seen if each.page != "bad.html"]
    assert {(each.page, each.width) for each in pages} == {(f"{name}.html", width) for name in NAMES
                                                           for width in (1280, 375)}
    # nothing sideways
    assert [each for each in pages if each.scroll_width > each.width_inside] == []
    assert {line for each in pages for line in each.console} == set()
    assert {each.background for each in pages if not each.dark} == {LIGHT}
    assert {each.background for each in pages if each.dark} == {DARK}
    assert {words for each in pages for words in each.faint} == set()
    # and it finds faults
    bad = [each for each in seen if each.page == "bad.html"]
    assert all(each.scroll_width > each.width_inside and each.faint and each.console
               for each in bad)
