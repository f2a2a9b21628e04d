"""Refuse words and phrases that this project does not use: `python docs/check_words.py [PATH ...]`.

By default it reads the pages that people write, their examples, and the package.
Of Markdown it reads the prose, without code; of Python the comments, the docstrings, and all other
strings with a space in them, such as the texts of errors, logs and the command line.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parent
GENERATED = {"eras.md", "modules.md"}

# A regular expression for what is refused, and what to write instead.
BANNED = {
    r"\blanes?\b": "isolated session, shared session",
    r"\b(goodbyes?|parting)\b": "cancel request",
    r"\b(answers?|answered|answering|reply|replies|replied)\b": "response, to respond",
    r"\bheads?\b": "status line, headers",
    r"\b(on|over) the wire\b": "in the protocol, in messages",
    r"\beras?\b": "protocol, release",
    r"\b(timeline|tape)\b": "history",
    r"\b(line|lines|lining) up\b|\b(its|their|takes?|whose) turns?\b": "to wait for a limiter",
    r"\bplaces? (in|of) (the|its|a) (server's |app's )?(queue|pool)\b": "rank, limiter token",
    r"\banew\b": "restart, new, again",
    r"\b(go|goes|going|gone|went) on\b": "to continue, to resume, to keep running",
    r"\b(called|made) again\b": "retried, repeated",
    r"\bpauses?\b": "backoff",
    r"\btaken up again\b": "resumed",
    r"\b(resting|fleets?|under way)\b": "cooldown, replicas, in flight, running",
    r"\b(left|leaves?|leaving) (\w+ )?alone\b": "to keep unchanged, to keep running",
    r"\bnobody (has |who )?(asks?|asked|looks?|looked|sees|saw|seen|hears?)\b": "unretrieved",
    r"\bsigns? of life\b": "message, heartbeat",
    r"\b(told|tells? of|hears?|heard|deaf)\b": "to report, to receive, to ignore",
    r"\b(mend|mends|mended|mending)\b": "to fix",
    r"\b(whoever|whosoever|shall|for ever)\b": "you, the caller, must, forever",
    r"\bfor who\b": "for those who",
    r"\bwithout a word\b": "silently",
    r"\bmakes? no sense\b": "is invalid",
    r"\b(what|that) can('t|not| not) be\b(?! \w)": "what is invalid",
    r"\bon (this|your|our) side\b": "in your program",
    r"(?<!there )\b(is|are|was) no (?!longer|more|less)": "is not a",
    r"\bsurface of gradio_client\b": "interface of gradio_client",
    r"\bstands? (in|at|on|beside|below|between|there)\b": "to be, to contain",
    r"\bsound and video\b": "audio and video",
    r"\bunasked\b|\bhung up\b": "which was not requested, closed the connection",
    r"\bany more\b(?! \w+s\b)": "no longer",
    r"\b(make|makes|made) another one\b|\bin the making\b": "create a new one, being built",
    r"\b(behaviour|colour|favour|licence|neighbour)s?\b": "American spelling",
    r"\b(initialise|recognise|normalise|serialise|summarise)[sd]?\b": "American spelling",
}
# Where a word has its everyday meaning: chat apps give answers.
ALLOWED = {(name, word) for name in ("chat.md", "chat.py") for word in ("answer", "answers")}
ALLOWED |= {("demo_app.py", word) for word in ("answer", "was no ")}  # of the demo's oracle

BLOCK = re.compile(r"^(`{3,})(.*?)^\1 *$", re.MULTILINE | re.DOTALL)
CODE = re.compile(
    r"`[^`\n]+`|\]\([^)\n]*\)|<[^>\n]+>|https?://\S+|:[a-z-]*members:.*"
    r"|^ +\w+:(?= \w)",  # a parameter in a docstring
    re.MULTILINE,
)


def blank(match: re.Match[str]) -> str:
    """Keep the lines, so that those that follow have their numbers."""
    return "\n" * match[0].count("\n") or "``"


def prose_of_markdown(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines, without code and addresses."""
    # The prose of the reference is in blocks.
    text = BLOCK.sub(
        lambda block: block[2] if block[2].startswith("{eval-rst}") else blank(block), text
    )
    text = CODE.sub(blank, text)
    yield from enumerate(text.splitlines(), 1)


def prose_of_python(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of comments and of strings, without code in them."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        # What an example prints is the library's.
        if token.type == tokenize.COMMENT and not token.string.startswith("# > "):
            yield token.start[0], CODE.sub(blank, token.string)
    for first, value in strings(ast.parse(text)):
        for number, line in enumerate(CODE.sub(blank, value).splitlines()):
            if " " in line.strip():  # a single word may be a name of a protocol
                yield first + number, line


def strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the strings of a program with the numbers of their first lines."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.lineno, node.value
        return
    if isinstance(node, ast.JoinedStr):
        # What a text contains in braces is code.
        parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        yield node.lineno, "".join(map(str, parts))
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from strings(child)


def findings(path: Path) -> Iterator[str]:
    """Yield a line for each word or phrase that is refused."""
    text = path.read_text(encoding="utf-8")
    prose = prose_of_python(text) if path.suffix == ".py" else prose_of_markdown(text)
    for number, line in prose:
        for pattern, instead in BANNED.items():
            for match in re.finditer(pattern, line, re.IGNORECASE):
                if (path.name, match[0].lower()) not in ALLOWED:
                    yield f"{path}:{number}: {match[0].strip()!r}; write: {instead}"


def files(paths: list[Path]) -> Iterator[Path]:
    """Yield the files, and those in the folders."""
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.py"))
        else:
            yield path


def main(arguments: list[str]) -> int:
    """Print what was found; return the exit code."""
    written = [*DOCS.parent.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("reliability/mutation.md")]
    pages = sorted(page for page in written if page.name not in GENERATED)
    paths = [Path(argument) for argument in arguments]
    paths = paths or [*pages, *DOCS.glob("examples"), DOCS.parent / "triojob"]
    found = [line for path in files(paths) for line in findings(path)]
    print("\n".join(found) or "no word is refused")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
