"""What a sender wrote changes neither the lines nor the page of a notice; an operator's own
templates take the place of ours, and a mistake in one stops no notice."""
from __future__ import annotations

import pytest

from tests.support.bench import Bench
from tests.support.product import render

JOB, KIND = "expire_overflow_hold", "overflow_warning"
NASTY = "<script>alert('x')</script>\r\nBcc: all@example.org\x00\x1b[31m\u2028\u202egood"
TAMED = "<script>alert('x')</script> Bcc: all@example.org [31m good"


@pytest.fixture
def write(tmp_path, sqlite_url):
    """Writes the notice of a message that is held; its row. `write.bench`, and `write.folder` for
    the operator's own templates."""
    bench = Bench(tmp_path, sqlite_url)
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "shop@alias.example"}])

    def made(subject: str = "mail", sender: str = "ann@club.example", name: str = "Jo") -> dict:
        for table in ("users", "overflow_hold", "notifications"):
            bench.db.execute(f"DELETE FROM {{{table}}}")
        bench.table("users", [{"id": 1, "email": "jo@home.example", "name": name}])
        bench.table("overflow_hold", [{"user_id": 1, "alias_id": 1, "held_at": bench.ago(days=40),
                                       "subject": subject, "sender": sender}])
        bench.run(JOB)
        [row] = bench.rows("notifications")
        return row
    made.bench, made.folder = bench, tmp_path / "own"
    made.folder.mkdir()
    bench.config(core={"app_url": "https://www.example.org/"},
                 notifications={"templates": str(made.folder)})
    yield made
    bench.db.close()


def mistakes(write) -> list[dict]:
    return [event for event in write.bench.events(JOB)
            if event["event"] == "template cannot be used"]


def test_a_notice_has_a_text_a_page_and_the_link_of_the_app(write):
    row = write()
    assert row["body_text"].startswith("Hello Jo,\n\n")
    assert row["body_text"].endswith("\nhttps://www.example.org\n")
    assert f"<title>{row['subject']}</title>" in row["body_html"]
    assert 'href="https://www.example.org"' in row["body_html"]
    write.bench.config(core={"app_url": ""})
    assert "href" not in write()["body_html"]


def test_each_value_stays_on_its_one_line(write):           # R35
    plain, odd = write("Order " * 9, "Order " * 9), write(NASTY, NASTY, NASTY)
    assert f"\n  Subject:   {TAMED}\n  From:      {TAMED}\n" in odd["body_text"]
    assert odd["body_text"].startswith(f"Hello {TAMED},\n\n")
    for body in ("body_text", "body_html"):
        assert odd[body].count("\n") == plain[body].count("\n")
        assert [sign for sign in odd[body] if not sign.isprintable() and sign != "\n"] == []


def test_no_markup_of_a_sender_reaches_the_page(write):     # R35
    page = write(NASTY, '"><img src=x onerror=alert(1)>', NASTY)["body_html"]
    assert "<script" not in page
    assert "<img" not in page
    assert "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; Bcc: all@example.org" in page


def test_a_file_of_the_operators_takes_the_place_of_ours(write):
    (write.folder / f"{KIND}.txt").write_bytes(
        "\ufeffSubject: Mine: {{count}}\r\n\r\nIn my words.\r\n".encode())
    row = write()
    assert row["subject"] == "Mine: 1"
    assert row["body_text"].startswith("Hello Jo,\n\nIn my words.\n\n-- \n")
    assert "ann@club.example" in row["body_html"]           # the other half is still ours
    assert mistakes(write) == []


@pytest.mark.parametrize(("content", "why"), [
    (b"Subject: {{nobody}}\n\nx\n", f"{KIND}.txt: nothing is called 'nobody' here; there is"),
    (b"Dear reader\n\nx\n", f"{KIND}.txt: expected its first line to be `Subject: ...`"),
    (b"Subject: \xff\n\nx\n", f"{KIND}.txt: cannot be read: 'utf-8' codec"),
    (b"Subject: x\n\n{{> nothing}}\n", "nothing.txt: cannot be read: "),
    (b"Subject: x\n\n{{#count}}a", f"{KIND}.txt: cannot read '{{{{#count}}}}a': no tag that is kn"),
    (b"Subject: x\n\n{{#count}}{{^count}}{{/x}}{{/count}}", f"{KIND}.txt: cannot read '{{{{^cou"),
    (b"Subject: x\n\na {{count", f"{KIND}.txt: cannot read '{{{{count'"),
    (b"Subject: x\n\n{{{count}}}", f"{KIND}.txt: cannot read '{{{{{{count}}}}}}'"),
    (b"Subject: x\n\n", f"layout.txt or {KIND}.txt: the notice itself is not in it"),
    (None, "there is no such folder")])
def test_one_that_is_broken_is_an_error_and_ours_is_sent(write, content, why):
    ours = write()
    if content is None:
        write.folder.rmdir()
    else:
        (write.folder / f"{KIND}.txt").write_bytes(content)
    assert write()["body_text"] == ours["body_text"]
    assert why in mistakes(write)[-1]["error"]
    assert mistakes(write)[-1]["kind"] == KIND


# Each construct of the templates

VALUES = {"name": "Jo & <Co>", "none": None, "empty": "", "zero": 0, "yes": True, "no": False,
          "rows": [], "items": [{"word": "one", "inner": [{"deep": "a"}, {"deep": "b"}]},
                                {"word": "two", "inner": []}], "plain": ["x", "y"],
          "tag": "{{name}}", "two": b"two\r\nlines"}
PARTS = {"greeting": "Hello {{name}},\n"}


@pytest.mark.parametrize("source, filled", [
    ("a {{name}} b", "a Jo & <Co> b"),
    ("{{ name }}{{  two}}", "Jo & <Co>two lines"),
    ("<{{none}}{{empty}}>", "<>"),                                  # never "None"
    ("{{tag}}", "{{name}}"),                                        # a value is no template
    ("{{#yes}}y{{/yes}}{{#no}}n{{/no}}", "y"),
    ("{{^yes}}y{{/yes}}{{^no}}n{{/no}}", "n"),
    ("{{#name}}y{{/name}}{{#empty}}e{{/empty}}{{#zero}}z{{/zero}}{{#none}}o{{/none}}", "y"),
    ("{{#items}}{{word}},{{/items}}", "one,two,"),
    # names around the list are in reach
    ("{{#items}}{{name}} {{/items}}", "Jo & <Co> Jo & <Co> "),
    ("{{#items}}{{word}}:{{#inner}}{{word}}{{deep}} {{/inner}}{{^inner}}-{{/inner}};{{/items}}",
     "one:onea oneb ;two:-;"),
    ("{{#plain}}{{.}}{{#yes}}+{{/yes}}{{/plain}}", "x+y+"),
    # an item that is text has no names in it
    ("{{#plain}}{{name}}{{/plain}}", "Jo & <Co>Jo & <Co>"),
    ("{ } {a} }}", "{ } {a} }}"),
    # a section that has a line to itself takes it away
    ("{{#yes}}\ny\n{{/yes}}\nend\n", "y\nend\n"),
    ("  {{#yes}}  \n  y\n\t{{/yes}}\n", "  y\n"),
    ("{{#items}}\n- {{word}}\n\n{{/items}}\nend\n", "- one\n\n- two\n\nend\n"),
    ("{{name}}\n\nx\n", "Jo & <Co>\n\nx\n"),                        # a value keeps its line
    ("a {{#yes}}\ny{{/yes}}\n", "a \ny\n"),                         # not alone on its line
    ("{{^no}}\nn\n{{/no}}", "n\n"),                                 # the last line has no end
    # the lines of another template
    ("{{> greeting}}\nwelcome", "Hello Jo & <Co>,\nwelcome")])
def test_a_construct(source, filled):
    assert render(source, VALUES, html=False, name="letter.txt",
                  partial=PARTS.__getitem__) == filled
