"""A report as an editor reads it: its headings, sentences, figures, pictures and tables, taken out of the page."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_BLOCKS = frozenset({"p", "li"})
_HEADINGS = frozenset({"h1", "h2", "h3"})
# What stands for a name in a sentence: one word, whatever points and digits the name has.
NAME_MARK = "‹name›"


@dataclass(slots=True, kw_only=True)
class Block:
    """A paragraph or an item of a list."""

    where: str
    section: str
    text: str = ""  # as read, names shortened to a mark
    loose: str = ""  # what is neither a figure with a source nor a name


@dataclass(slots=True, kw_only=True)
class Figure:
    source: str
    value: str
    text: str = ""


@dataclass(slots=True, kw_only=True)
class Table:
    where: str
    caption: str = ""
    headers: int = 0
    rows: int = 0


@dataclass(slots=True, kw_only=True)
class Section:
    name: str
    content: int = 0  # characters outside headings


@dataclass(slots=True, kw_only=True)
class Manuscript:
    language: str = ""
    title: str = ""
    style: str = ""
    headings: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)  # the words for those who cannot see them
    tables: list[Table] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    references: list[str] = field(default_factory=list)  # to anything outside the page


def read_manuscript(page: str) -> Manuscript:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.manuscript


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.manuscript = Manuscript()
        self._open: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._note_reference(tag, attributes)
        if not self._is_inside("svg"):
            self._begin(tag, attributes)
        if tag not in _VOID:
            self._open.append((tag, attributes))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note_reference(tag, {name: value or "" for name, value in attrs})

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place][0] == tag:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        if self._is_inside("svg"):
            return
        tags = [tag for tag, _ in self._open]
        if "style" in tags:
            self.manuscript.style += data
        elif "title" in tags:
            self.manuscript.title += data
        elif not _HEADINGS.isdisjoint(tags):
            self.manuscript.headings[-1] += data
        else:
            self._read_text(data, tags)

    def _read_text(self, data: str, tags: list[str]) -> None:
        manuscript = self.manuscript
        if "section" in tags:
            manuscript.sections[-1].content += len(data.strip())
        if "data" in tags:
            manuscript.figures[-1].text += data
        if "caption" in tags:
            manuscript.tables[-1].caption += data
        if not _BLOCKS.isdisjoint(tags) and not self._is_inside_name():
            manuscript.blocks[-1].text += data
            if "data" not in tags:
                manuscript.blocks[-1].loose += data

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        manuscript = self.manuscript
        if tag == "html":
            manuscript.language = attributes.get("lang", "")
        elif tag in _HEADINGS:
            manuscript.headings.append("")
        elif tag == "section":
            manuscript.sections.append(Section(name=attributes.get("id", "")))
        elif tag in _BLOCKS:
            section = self._find_id("section")
            manuscript.blocks.append(Block(where=attributes.get("id") or section or "page", section=section))
        elif tag == "data":
            figure = Figure(source=attributes.get("data-of", ""), value=attributes.get("value", ""))
            manuscript.figures.append(figure)
        elif tag in ("svg", "img"):
            manuscript.pictures.append(attributes.get("aria-label") or attributes.get("alt", ""))
        elif self._is_name(tag, attributes) and manuscript.blocks and not _BLOCKS.isdisjoint(t for t, _ in self._open):
            manuscript.blocks[-1].text += NAME_MARK
        else:
            self._begin_table_part(tag)

    def _begin_table_part(self, tag: str) -> None:
        tables = self.manuscript.tables
        if tag == "table":
            tables.append(Table(where=self._find_id("section") or "page"))
        elif tag == "th":
            tables[-1].headers += 1
        elif tag == "td":
            tables[-1].rows += 1

    def _note_reference(self, tag: str, attributes: dict[str, str]) -> None:
        targets = [attributes[name] for name in ("src", "href", "xlink:href") if name in attributes]
        self.manuscript.references += [target for target in targets if not target.startswith(("#", "data:"))]
        if tag == "script":
            self.manuscript.references.append("a script")

    def _find_id(self, wanted: str) -> str:
        return next((attributes.get("id", "") for tag, attributes in reversed(self._open) if tag == wanted), "")

    def _is_inside(self, wanted: str) -> bool:
        return any(tag == wanted for tag, _ in self._open)

    def _is_inside_name(self) -> bool:
        return any(self._is_name(tag, attributes) for tag, attributes in self._open)

    @staticmethod
    def _is_name(tag: str, attributes: dict[str, str]) -> bool:
        return tag == "code" or (tag == "span" and attributes.get("class") == "name")
