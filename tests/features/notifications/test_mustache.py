"""Each construct of the templates, and what a slip in one is answered with."""
from __future__ import annotations

import pytest

from tests.support.product import TemplateError, render

VALUES = {"name": "Jo & <Co>", "none": None, "empty": "", "zero": 0, "yes": True, "no": False,
          "rows": [], "items": [{"word": "one", "inner": [{"deep": "a"}, {"deep": "b"}]},
                                {"word": "two", "inner": []}], "plain": ["x", "y"],
          "tag": "{{name}}", "two": b"two\r\nlines",
          "markup": """<a href="x" id='y'>&"""}
PARTS = {"greeting": "Hello {{name}},\n"}


def text(source: str, html: bool = False) -> str:
    return render(source, VALUES, html=html, name="letter.txt", partial=PARTS.__getitem__)


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
])
def test_a_construct(source, filled):
    assert text(source) == filled


@pytest.mark.parametrize("source, filled", [
    ("{{#yes}}\ny\n{{/yes}}\nend\n", "y\nend\n"),
    ("  {{#yes}}  \n  y\n\t{{/yes}}\n", "  y\n"),
    ("{{#items}}\n- {{word}}\n\n{{/items}}\nend\n", "- one\n\n- two\n\nend\n"),
    ("{{name}}\n\nx\n", "Jo & <Co>\n\nx\n"),                        # a value keeps its line
    ("a {{#yes}}\ny{{/yes}}\n", "a \ny\n"),                         # not alone on its line
    ("{{^no}}\nn\n{{/no}}", "n\n"),                                 # the last line has no end
])
def test_a_section_that_has_a_line_to_itself_takes_it_away(source, filled):
    assert text(source) == filled


def test_html_escapes_values():
    assert text("{{markup}}", html=True) == "&lt;a href=&quot;x&quot; id=&#x27;y&#x27;&gt;&amp;"


@pytest.mark.parametrize("source, said", [
    ("{{nobody}}",
     "letter.txt: nothing is called 'nobody' here; there is empty, items, markup, name, no"),
    ("{{#nobody}}{{/nobody}}",
     "is called 'nobody' here; there is empty, items, markup, name, no, none, plain, rows, tag"),
    ("{{#plain}}{{x}}{{/plain}}", "letter.txt: nothing is called 'x' here"),
    ("{{#yes}}a", "letter.txt: cannot read '{{#yes}}a': no tag that is known, or a section"),
    ("a{{/yes}}", "letter.txt: cannot read '{{/yes}}'"),
    ("{{#yes}}{{#items}}{{/yes}}{{/items}}", "letter.txt: cannot read '{{#items}}'"),
    ("a {{name", "letter.txt: cannot read '{{name'"),
    ("{{{name}}}", "letter.txt: cannot read '{{{name}}}'"),
    ("{{> part}}", "letter.txt: cannot read '{{> part}}'"),
])
def test_a_slip_is_told_with_its_place(source, said):
    with pytest.raises(TemplateError) as error:
        text(source)
    assert said in str(error.value)


def test_a_partial_is_the_lines_of_another_template():
    assert text("{{> greeting}}\nwelcome") == "Hello Jo & <Co>,\nwelcome"
