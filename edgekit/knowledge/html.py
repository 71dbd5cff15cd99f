"""Reads the text of HTML with the standard library's parser: what a reader would see, below its headings."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

from edgekit.knowledge.blocks import Block, Collector, without_comments

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "math", "head", "nav", "select", "textarea"})
_INLINE = frozenset(
    {
        *(
            "a",
            "abbr",
            "acronym",
            "b",
            "bdi",
            "bdo",
            "big",
            "cite",
            "code",
            "data",
            "del",
            "dfn",
            "em",
            "font",
            "i",
            "img",
        ),
        *(
            "ins",
            "kbd",
            "label",
            "mark",
            "q",
            "s",
            "samp",
            "small",
            "span",
            "strike",
            "strong",
            "sub",
            "sup",
            "time",
            "tt",
        ),
        *("u", "var", "wbr"),
    }
)
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)


def read_html(text: str) -> Iterator[Block]:
    """Yield the blocks of an HTML text; markup that is broken ends where a browser would end it, or at the end."""
    reader = _Html()
    shown = without_comments(text)
    # Behind the last > there is no tag; the parser would look for the end of each, for minutes where there are many.
    tagged = shown.rfind(">") + 1
    reader.feed(shown[:tagged] + shown[tagged:].replace("<", "&lt;"))
    reader.close()
    reader.end()
    yield from reader.blocks


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._collected = Collector()
        self._headings: list[tuple[int, str]] = []
        self.blocks: list[Block] = []
        self._unseen: list[str] = []
        self._preformatted = 0

    def end(self) -> None:
        """End the block, as any tag does that begins a new line."""
        self.blocks.extend(self._collected.take(self._path(), preformatted=self._preformatted > 0))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's
        """Follow a tag."""
        if tag == "body":  # what is before it may go without its end tag
            self._unseen.clear()
        if tag in _UNSEEN:
            self.end()
            self._unseen.append(tag)
        elif self._unseen:
            return
        elif tag == "br":
            self._collected.add("\n", self.getpos()[0])
        elif tag in ("td", "th"):
            self._collected.add(" ", self.getpos()[0])
        elif tag == "tr" or tag not in _INLINE:
            self._break(tag)
            self._preformatted += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        """Follow the end of a tag."""
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        elif self._unseen or tag in _INLINE or tag in _VOID or tag in ("td", "th"):
            return
        elif tag in _HEADINGS:
            self._head(_HEADINGS[tag])
        else:
            self._break(tag)
            self._preformatted = max(0, self._preformatted - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        """Collect what is seen."""
        if not self._unseen:
            self._collected.add(data, self.getpos()[0])

    def _break(self, tag: str) -> None:
        # Items and rows stay with their neighbours: alone they are too short to say what they are about.
        if tag in ("li", "tr", "dt", "dd"):
            self._collected.add("\n", self.getpos()[0])
        else:
            self.end()

    def _head(self, level: int) -> None:
        self._headings = [(own, text) for own, text in self._headings if own < level]
        for block in self._collected.take(()):
            self._headings.append((level, " ".join(block.text.split())))

    def _path(self) -> tuple[str, ...]:
        return tuple(title for _, title in self._headings)
