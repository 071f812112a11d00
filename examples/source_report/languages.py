"""What the files of a tree are written in, and how comments, functions and imports look in each language."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

Pattern = re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    name: str
    kind: str = "code"  # code | prose | config | data
    comment: Pattern | None = None  # comments in the group `comment`; strings too, so that no comment is seen in them
    function: Pattern | None = None  # the first line of a function, with `name`
    imports: Pattern | None = None  # what is imported, in the first group that matched
    closing: str = "}"  # what the last line of a function starts with


_TEXT = r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
_CHARACTER = r"'(?:\\[^\n]{1,10}?|[^'\\\n])'"
_QUOTED = r"'[^'\\\n]*(?:\\.[^'\\\n]*)*'"
_SLASHES = r"(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))"
_TRIPLE = r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""|' + r"'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"


def _pattern(*parts: str) -> Pattern:
    return re.compile("|".join(parts), re.DOTALL | re.MULTILINE)


def _lines(pattern: str) -> Pattern:
    return re.compile(pattern, re.MULTILINE)


_C_LIKE = _pattern(_SLASHES, _TEXT, _CHARACTER)
_SCRIPT_LIKE = _pattern(_SLASHES, _TEXT, _QUOTED, r"`(?:\\.|[^`\\])*`")
_PYTHON = _pattern(r"(?P<comment>\#[^\n]*)", _TRIPLE, _TEXT, _QUOTED)
_HASHES = _pattern(r"(?P<comment>^[ \t]*\#[^\n]*)")
_DASHES = _pattern(r"(?P<comment>--\[\[.*?\]\]|--[^\n]*|/\*.*?(?:\*/|\Z))", _QUOTED, _TEXT)
_MARKUP = _pattern(r"(?P<comment><!--.*?(?:-->|\Z))")
_STYLES = _pattern(r"(?P<comment>/\*.*?(?:\*/|\Z))", _TEXT, _QUOTED)
_SEMICOLONS = _pattern(r"(?P<comment>^[ \t]*[;\#][^\n]*)")

_SCRIPT_FUNCTION = _lines(
    r"^[ \t]*(?:export\s+)?(?:default\s+)?(?:async\s+)?function\b\s*\*?\s*(?P<name>[\w$]+)"
    r"|^[ \t]*(?:export\s+)?(?:const|let|var)\s+(?P<arrow>[\w$]+)[^=\n]*="
    r"\s*(?:async\s*)?(?:\([^()\n]*\)|[\w$]+)[^=\n]*=>"
    r"|^[ \t]+(?:(?:public|private|protected|static|async|override)\s+)*"
    r"(?!(?:if|for|while|switch|catch|with|function|return)\b)(?P<method>[\w$\#]+)\([^()\n]*\)[^={}()\n]*\{[ \t]*$"
)
_SCRIPT_IMPORT = _lines(r"""(?:^[^\n"'`]{0,200}\bfrom\s*|^[ \t]*import[ \t]*\(?|\brequire\()\s*["']([^"'\n]+)["']""")
_METHOD = _lines(
    r"^[ \t]+(?:(?:public|private|protected|internal|static|final|abstract|override|virtual|async|synchronized)\s+)+"
    r"(?:[\w<>\[\],?.]+\s+)?(?P<name>\w+)\s*\([^;\n]*$"
)
_C_FUNCTION = _lines(
    r"^(?!(?:if|else|for|while|switch|return|typedef|using|namespace|struct|class|enum|union)\b)"
    r"(?:[\w:<>,*&~]+[ \t]+){1,6}[*&]*(?P<name>[\w:~]+)\([^;\n]*$"
)
_INCLUDE = _lines(r"^[ \t]*\#[ \t]*include[ \t]*[<\"]([^>\"\n]+)[>\"]")
_DOTTED_IMPORT = _lines(r"^[ \t]*(?:import|using)\s+(?:static\s+)?([\w.]+)\s*;?[ \t]*$")
_GO_IMPORT = _lines(r'^(?:import)?[ \t]+(?:[\w.]+[ \t]+)?"([\w.\-/]+)"[ \t]*$')
_RUST_FUNCTION = _lines(
    r"^[ \t]*(?:pub(?:\([^)\n]*\))?\s+)?(?:(?:async|const|unsafe|extern(?:\s+\"[^\"\n]*\")?)\s+)*fn\s+(?P<name>\w+)"
)


def _words(keyword: str) -> Pattern:
    """Functions that a keyword announces, with any modifiers before it."""
    return _lines(rf"^[ \t]*(?:[a-z]+(?:\([^)\n]*\))?[ \t]+)*{keyword}[ \t]+(?P<name>[\w.?!=$]+)")


def _script(name: str) -> Language:
    return Language(name=name, comment=_SCRIPT_LIKE, function=_SCRIPT_FUNCTION, imports=_SCRIPT_IMPORT)


def _c(name: str) -> Language:
    return Language(name=name, comment=_C_LIKE, function=_C_FUNCTION, imports=_INCLUDE)


PYTHON = Language(
    name="Python",
    comment=_PYTHON,
    function=_lines(r"^[ \t]*(?:async[ \t]+)?def[ \t]+(?P<name>\w+)"),
    imports=_lines(r"^[ \t]*(?:import|from)[ \t]+([\w.]+)"),
    closing="",
)
_SHELL = Language(
    name="Shell", comment=_HASHES, function=_lines(r"^[ \t]*(?:function[ \t]+)?(?P<name>[\w-]+)[ \t]*\(\)[ \t]*\{")
)
_RUBY = Language(
    name="Ruby",
    comment=_HASHES,
    function=_words("def"),
    imports=_lines(r"^[ \t]*require[ \t]+['\"]([^'\"\n]+)['\"]"),
    closing="end",
)
_GO = Language(
    name="Go",
    comment=_pattern(_SLASHES, _TEXT, _CHARACTER, r"`[^`]*`"),
    function=_lines(r"^func[ \t]+(?:\([^)\n]*\)[ \t]*)?(?P<name>\w+)"),
    imports=_GO_IMPORT,
)
_RUST = Language(
    name="Rust", comment=_C_LIKE, function=_RUST_FUNCTION, imports=_lines(r"^[ \t]*(?:pub\s+)?use\s+(?:::)?(\w+)")
)
_JAVA = Language(name="Java", comment=_C_LIKE, function=_METHOD, imports=_DOTTED_IMPORT)
_KOTLIN = Language(name="Kotlin", comment=_C_LIKE, function=_words("fun"), imports=_DOTTED_IMPORT)
_PHP = Language(name="PHP", comment=_SCRIPT_LIKE, function=_words("function"))
_YAML = Language(name="YAML", kind="config", comment=_HASHES)
_MAKEFILE = Language(name="Makefile", comment=_HASHES)
_TEXT_FILE = Language(name="Plain text", kind="prose")
_CONFIG = Language(name="Configuration", kind="config", comment=_SEMICOLONS)
_OTHER = Language(name="Other text", kind="data")

_BY_SUFFIX: dict[str, Language] = {
    **dict.fromkeys((".py", ".pyi", ".pyw"), PYTHON),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), _script("JavaScript")),
    **dict.fromkeys((".ts", ".tsx", ".mts", ".cts"), _script("TypeScript")),
    **dict.fromkeys((".c", ".h"), _c("C")),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".hpp", ".hh"), _c("C++")),
    **dict.fromkeys((".sh", ".bash", ".zsh"), _SHELL),
    **dict.fromkeys((".kt", ".kts"), _KOTLIN),
    **dict.fromkeys((".yml", ".yaml"), _YAML),
    **dict.fromkeys((".md", ".markdown"), Language(name="Markdown", kind="prose", comment=_MARKUP)),
    **dict.fromkeys((".rst", ".txt", ".adoc", ".tex"), _TEXT_FILE),
    **dict.fromkeys((".html", ".htm", ".vue", ".svelte"), Language(name="HTML", comment=_MARKUP)),
    **dict.fromkeys((".css", ".scss", ".less"), Language(name="CSS", comment=_STYLES)),
    **dict.fromkeys((".ini", ".cfg", ".conf", ".properties", ".env"), _CONFIG),
    **dict.fromkeys((".json", ".jsonl", ".avsc", ".ipynb"), Language(name="JSON", kind="data")),
    **dict.fromkeys((".csv", ".tsv"), Language(name="Tables", kind="data")),
    **dict.fromkeys((".xml", ".svg", ".xsd"), Language(name="XML", kind="data", comment=_MARKUP)),
    **dict.fromkeys((".lock", ".sum", ".log", ".map"), Language(name="Generated text", kind="data")),
    ".go": _GO,
    ".rs": _RUST,
    ".java": _JAVA,
    ".cs": Language(name="C#", comment=_C_LIKE, function=_METHOD, imports=_DOTTED_IMPORT),
    ".swift": Language(name="Swift", comment=_C_LIKE, function=_words("func"), imports=_DOTTED_IMPORT),
    ".scala": Language(name="Scala", comment=_C_LIKE, function=_words("def")),
    ".rb": _RUBY,
    ".php": _PHP,
    ".sql": Language(name="SQL", comment=_DASHES),
    ".lua": Language(name="Lua", comment=_DASHES, function=_words("function"), closing="end"),
    ".proto": Language(name="Protobuf", comment=_C_LIKE),
    ".toml": Language(name="TOML", kind="config", comment=_HASHES),
    ".r": Language(name="R", comment=_HASHES),
    ".mk": _MAKEFILE,
}
_BY_NAME = {
    "makefile": _MAKEFILE,
    "gnumakefile": _MAKEFILE,
    "dockerfile": Language(name="Dockerfile", comment=_HASHES),
    "readme": _TEXT_FILE,
    "license": _TEXT_FILE,
    "package-lock.json": _BY_SUFFIX[".lock"],
    "yarn.lock": _BY_SUFFIX[".lock"],
}
_BY_INTERPRETER = {"python": PYTHON, "bash": _SHELL, "sh": _SHELL, "node": _BY_SUFFIX[".js"], "ruby": _RUBY}
_INTERPRETER = re.compile(r"#!\S*?(?:env\s+)?(?:/bin/)?(python|bash|sh|node|ruby)[\d.]*\s*$")


def recognise_language(path: str, first_line: str) -> Language:
    """By the whole name, else by its ending, else by the interpreter that the first line names."""
    name = PurePosixPath(path.lower())
    if name.name in _BY_NAME:
        return _BY_NAME[name.name]
    if name.name.startswith("."):
        return _BY_SUFFIX.get(name.suffix, _CONFIG)
    if name.suffix in _BY_SUFFIX:
        return _BY_SUFFIX[name.suffix]
    interpreter = _INTERPRETER.match(first_line)
    return _BY_INTERPRETER[interpreter[1]] if interpreter else _OTHER
