"""`preview`: an operator sees every notice before its readers do."""
from __future__ import annotations

import html as html_escapes
import re
from email import message_from_bytes, policy

import pytest

from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.kinds import KINDS
from jobs_lib.features.notifications.samples import SAMPLES
from tests.house.source import ROOT
from tests.support.shell import Shell

TEMPLATES = ROOT / "jobs_lib" / "features" / "notifications" / "templates"


def written(kind: str) -> set[str]:
    return {f"{kind}.txt", f"{kind}.html"}


def test_every_kind_that_has_templates_can_be_previewed_and_no_template_is_left_over():
    assert {path.name for path in TEMPLATES.iterdir()} == {
        *written("layout"), *written("domain_records"),
        *(name for kind in SAMPLES for name in written(kind))}
    assert set(SAMPLES) == set(KINDS)


# Each form that a notice can take: one of a thing or several, and whatever else a template asks
# about.
FORMS = [(kind, app_url, changes) for kind in SAMPLES for app_url in ("", "https://app.example")
         for changes in ({}, *({name: not value} for name, value in SAMPLES[kind].items()
                               if isinstance(value, bool)))]
DATE = r"\d{1,2} (?:[A-Z][a-z]+) 20\d\d(?: at \d\d:\d\d UTC)?"


@pytest.mark.parametrize("kind, app_url, changes", FORMS)
def test_text_and_page_say_the_same_in_every_form(kind, app_url, changes):
    letter = render.compose(kind, {"name": "Jane", "signature": "Porter", "app_url": app_url,
                                   **SAMPLES[kind],
                                    **changes})
    page = letter.html[letter.html.index("<body>"):]
    page = " ".join(html_escapes.unescape(re.sub("<[^>]+>", " ", page)).split())
    page = re.sub(r" ([,.:)])", r"\1", page)
    for paragraph in letter.text.split("\n\n"):
        if not re.search(r"^(?:  |- |Hello)", paragraph, re.MULTILINE):
            # labels and lists are laid out otherwise
            for sentence in re.split(r"(?<=\.) ", " ".join(paragraph.split())):
                assert not sentence.endswith(".") or sentence in page
    if app_url:
        assert app_url in letter.text
        assert f'href="{app_url}' in letter.html
    assert len(letter.subject) < 60, letter.subject
    for body in (letter.text, page):
        assert re.findall(r"20\d\d(?! at \d\d:\d\d UTC)[-,/]? ?\d\d[:-]",
                          re.sub(DATE, "", body)) == []
        assert not re.search(r"\b(?:raw file|queued?|trouble|notices?)\b|\d %|  +\.|e-mail", body)


def page_of(line, kind: str) -> str:
    return (line.folder / "preview" / f"{kind}.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def previews(tmp_path_factory):
    """Where all kinds are, as mail and as page."""
    line = Shell(tmp_path_factory.mktemp("previews"))
    line.ini("[personas]\nporter = Porter <porter@service.example>\n"
             "[core]\napp_url = https://mail.example.org\n")
    assert {each["kind"] for each in line.json("preview")} == set(SAMPLES)
    return line


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_kind_as_mail_and_as_page(previews, kind):
    line = previews
    message = message_from_bytes((line.folder / "preview" / f"{kind}.eml").read_bytes(),
                                 policy=policy.default)
    text, html = (message.get_body(which).get_content() for which in ("plain", "html"))
    assert "https://mail.example.org" in text
    assert "{" not in text.replace("{{", "")
    assert all(len(row) <= 72 or "https://" in row for row in text.splitlines())
    page = page_of(line, kind)
    assert page.strip().startswith("<!DOCTYPE html>")
    assert ("<title>" + render.mustache.escape(message["Subject"])) in page
    assert page.count("<p") == page.count("</p>")
    assert page.count("<div") == page.count("</div>") == html.count("</div>")
    # nothing from elsewhere
    assert not any(word in page for word in ("http://", "src=", "<script", "url("))


def test_a_broken_template_of_ones_own_is_reported(line):
    (line.folder / "own").mkdir()
    (line.folder / "own" / "overflow_warning.txt").write_text("Subject: {{nobdy}}\n\nx\n")
    line.ini("[notifications]\ntemplates = own\n")
    answer = line("preview", "overflow_warning")
    assert answer.code == 1
    assert "overflow_warning.txt: nothing is called 'nobdy' here; there is" in answer.err
    assert not (line.folder / "preview" / "overflow_warning.eml").exists()
    assert line("preview").code == 1
    assert (line.folder / "preview" / "forward_failed.eml").exists()
