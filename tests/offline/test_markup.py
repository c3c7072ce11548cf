"""Markup: nothing gets into a page but as text."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tierwise.offline.markup import Markup, element, joined


class Read(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.texts = list[tuple[str, list[tuple[str, str | None]]]](), ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.texts += data


ANY = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))) | st.sampled_from(
    ["<script>alert(1)</script>", '" onload="x', "'><b>", "&lt;b&gt;", "</td>", "<!--", "]]>"]
)


@given(ANY, ANY)
def test_text_stays_text(words: str, value: str) -> None:
    """Inside an element and inside an attribute."""
    found = Read(element("td", words, title=value))
    assert found.tags == [("td", [("title", value)])]
    assert found.texts == words


def test_elements_by_hand() -> None:
    """Names of attributes, numbers to a hundredth, empty elements; markup goes in as it is."""
    inner = element("b", "a < b", class_="x", text_anchor="end", y=1.239, x=3.0)
    assert inner == '<b class="x" text-anchor="end" y="1.24" x="3">a &lt; b</b>'
    assert element("p", inner, "&") == f"<p>{inner}&amp;</p>"
    assert element("meta", name="a") == '<meta name="a">'
    assert unescape(joined("<", Markup("<br>"))) == "<<br>"
