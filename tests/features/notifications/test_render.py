"""What a sender wrote changes neither the lines nor the page of a letter; long lines are folded to
be read."""
from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import pytest

from jobs_lib.features.notifications import render
from tests.support.product import declare

TEMPLATES = {
    "odd_kind.txt": "Subject: About {{subject}}\n\nDear reader,\n\n{{#items}}\n  From:  "
    "{{sender}}\n{{/items}}\n",
    "odd_kind.html": "<h1>{{subject}}</h1>\n{{#items}}\n<p "
    "title=\"{{sender}}\">{{sender}}</p>\n{{/items}}\n",
}
NASTY = "<script>alert('x')</script>\r\nBcc: all@example.org\x00\x1b[31m\u2028\u202egood"
TAMED = "<script>alert('x')</script> Bcc: all@example.org [31m good"


@pytest.fixture
def templates(monkeypatch, tmp_path_factory):
    """Two templates of a kind that no job has, beside the real layouts. A dict, which may be
    changed."""
    own, real = dict(TEMPLATES), render.own_template
    folder = shutil.copytree(render.OWN, tmp_path_factory.mktemp("ours") / "own")

    def read(name: str) -> str:
        if name in own:
            (folder / name).write_bytes(own[name].encode())
        return real(name)
    monkeypatch.setattr(render, "OWN", str(folder))
    monkeypatch.setattr(render, "own_template", read)
    monkeypatch.setitem(render.KINDS, "odd_kind", render.KINDS["overflow_warning"])
    return own


def write(app_url: str = "https://mail.example.org/", subject: str = "mail",
          sender: str = "ann@club.example", name: str = "Jo"):
    sections = {"core": SimpleNamespace(app_url=app_url),
                "notifications": SimpleNamespace(templates=""),
                "personas": SimpleNamespace(overflow='"Desk, Overflow" <overflow@service.example>')}
    ctx = SimpleNamespace(section=sections.__getitem__)
    return render.write(ctx, "odd_kind",
                         {"name": name, "subject": subject, "items": [{"sender": sender},
                                                                      {"sender": "b@x.example"}]})


def test_a_letter_has_a_subject_a_text_and_a_page(templates):
    letter = write()
    assert letter.subject == "About mail"
    assert letter.text == ("Hello Jo,\n\nDear reader,\n\n  From:  ann@club.example\n  From:  "
                           "b@x.example\n\n-- \nDesk, Overflow\nhttps://mail.example.org\n")
    assert letter.html.startswith("<!DOCTYPE html>")
    assert "<title>About mail</title>" in letter.html
    assert ('<p>Hello Jo,</p>\n<h1>mail</h1>\n<p title="ann@club.example">ann@club.example</p>'
            in letter.html)
    assert '<br><a href="https://mail.example.org">https://mail.example.org</a>' in letter.html


def test_without_an_address_of_the_app_there_is_no_link(templates):
    letter = write(app_url="")
    assert letter.text.endswith("-- \nDesk, Overflow\n")
    assert "href" not in letter.html


def test_each_value_stays_on_its_one_line(templates):           # R35
    plain, letter = write(), write(subject=NASTY, sender=NASTY, name=NASTY)
    assert letter.subject == f"About {TAMED}"
    assert f"\n  From:  {TAMED}\n" in letter.text
    assert letter.text.startswith(f"Hello {TAMED},\n\n")
    assert letter.text.count("\n") == plain.text.count("\n")
    assert letter.html.count("\n") == plain.html.count("\n")
    assert [sign for sign in letter.text + letter.html if not sign.isprintable() and sign
            != "\n"] == []


def test_no_markup_of_a_sender_reaches_the_page(templates):
    page = write(subject=NASTY, sender='"><img src=x onerror=alert(1)>', name=NASTY).html
    assert "<script" not in page
    assert "<img" not in page
    assert '<p title="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;">' in page
    assert ("<h1>&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; "
            "Bcc: all@example.org [31m good</h1>" in page)


def test_a_value_is_never_read_as_a_template(templates):
    letter = write(subject="{{signature}} {{#items}}", sender="{{{name}}}")
    assert letter.subject == "About {{signature}} {{#items}}"
    assert "  From:  {{{name}}}\n" in letter.text
    assert '<p title="{{{name}}}">' in letter.html


def test_templates_uploaded_with_other_line_ends_give_the_same_letter(templates):
    letter = write()
    templates.update({name: words.replace("\n", "\r\n") for name, words in TEMPLATES.items()})
    assert write() == letter


def test_a_long_value_is_cut(templates):
    letter = write(subject="s" * 3000, sender="a " * 1000)
    assert len(letter.subject) == 200
    assert letter.subject.endswith("…")
    assert len(letter.html) < 4000 + 5 * 500


# An operator's own templates

@pytest.fixture
def own(bench, templates):
    """A folder of the operator's, and the letter that `write` makes with it."""
    folder = bench.folder / "own"
    folder.mkdir()
    bench.config(notifications={"templates": str(folder)})
    found = []

    def letter() -> render.Letter:
        job = declare(schedule="@daily",
                      idempotency="writes a letter")(lambda ctx: found.append(render.write(
            ctx, "odd_kind", {"name": "Jo", "subject": "mail", "items": []})) or {})
        bench.run(job._replace(name="write_letter"))
        return found[-1]
    return folder, letter, bench


def test_a_file_of_the_operators_takes_the_place_of_ours(own):
    folder, letter, _ = own
    (folder / "odd_kind.txt").write_bytes(
        "\ufeffSubject: Mine: {{subject}}\r\n\r\nIn my words.\r\n".encode())
    assert letter().subject == "Mine: mail"
    assert letter().text.startswith("Hello Jo,\n\nIn my words.\n\n-- \n")
    assert "<h1>mail</h1>" in letter().html            # the other half is still ours


@pytest.mark.parametrize(("content", "why"), [
    (b"Subject: {{nobody}}\n\nx\n", "odd_kind.txt: nothing is called 'nobody' here; there is"),
    (b"Subject: x {{#items}}\n\nx\n", "odd_kind.txt: the section 'items' is never closed"),
    (b"Dear reader\n\nx\n", "odd_kind.txt: expected its first line to be `Subject: ...`"),
    (b"Subject: \xff\n\nx\n", "odd_kind.txt: cannot be read: 'utf-8' codec"),
    (b"Subject: \n\nx\n", "odd_kind.txt: expected its first line to be `Subject: ...`"),
    (b"Subject: x\nno empty line\n", "odd_kind.txt: expected its first line to be `Subject: ...`"),
    (b"Subject: x\n\n{{> nothing}}\n", "there is no template nothing.txt"),
    (b"Subject: x\n\n", "layout.txt or odd_kind.txt: the notice itself is not in it"),
])
def test_one_that_is_broken_is_an_error_and_ours_is_sent(own, content, why):
    folder, letter, bench = own
    (folder / "odd_kind.txt").write_bytes(content)
    assert letter().subject == "About mail"
    errors = [event for event in bench.events("write_letter") if event["event"]
              == "template cannot be used"]
    assert why in errors[-1]["error"]
    assert errors[-1]["kind"] == "odd_kind"


def test_a_layout_without_the_notice_is_reported(own):
    folder, letter, bench = own
    (folder / "layout.html").write_text("<p>only a frame</p>")
    assert "only a frame" not in letter().html
    [error] = [event["error"] for event in bench.events("write_letter") if event["event"]
               == "template cannot be used"]
    assert error.startswith("layout.html or odd_kind.html: the notice itself is not in it")


@pytest.mark.parametrize("odd", ["link", "pipe", "no folder"])
def test_what_is_no_file_is_reported_and_holds_nobody_up(own, odd):
    folder, letter, bench = own
    if odd == "link":
        (folder / "odd_kind.txt").symlink_to("nowhere")
    elif odd == "pipe":
        os.mkfifo(folder / "odd_kind.txt")
    else:
        folder.rmdir()
    assert letter().subject == "About mail"
    assert [event["event"] for event in bench.events("write_letter")].count("template cannot be "
                                                                            "used") == 1
