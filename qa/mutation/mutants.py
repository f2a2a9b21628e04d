"""Makes mutants: programs with one small mistake each.

The operators are mutmut's, and a few of our own: statements that are left out, conditions that
always or never hold, values that are not returned.
What is not mutated, by rule:

- what is for type checkers and readers: annotations, `cast`, `assert`, overloads, docstrings;
- words for people: messages of exceptions and logs, reasons that are literal, names of tasks,
  `__repr__`;
- what is decided before any test runs: imports, decorators, `__slots__`, the branches for Python
  versions, and module-level code but constants.

Of mutmut's three ways to change a string, one is used: a key is missed in each of them.
Arguments by position are made None but not left out, which is a `TypeError` nearly always.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal, operator_string


@dataclass(frozen=True)
class Mutant:
    """One mistake.  It is known by what it changes, not by where that stands in the file."""

    file: str
    function: str
    """The qualified name; empty for the module."""
    was: str
    """Followed by "(again)" where the function has the same line before."""
    now: str
    body: str
    """The text of the function as it is."""
    lines: tuple[int, ...]
    """Those of the statement, or of the head of a compound one; for a default, of the function."""
    source: str
    """The whole module."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.file, self.function, self.was, self.now


def mutants_of(file: str, path: Path) -> list[Mutant]:
    """Return the mutants of a module, in order."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    finder = _Finder()
    wrapper.visit(finder)
    found: dict[tuple[str, str, str, str], Mutant] = {}
    for place in finder.places:
        was, now, source = _replaced(wrapper.module, lines, place)
        if was != now:
            body = "".join(lines[place.body.start.line - 1 : place.body.end.line])
            mutant = Mutant(file, place.function, was, now, body, place.lines, source)
            while found.setdefault(mutant.key, mutant).source != source:
                mutant = replace(mutant, was=f"{mutant.was} (again)")
    return list(found.values())


def _replaced(module: cst.Module, lines: list[str], place: _Place) -> tuple[str, str, str]:
    """Return the lines of what is changed, before and after, and the whole module after."""
    new = place.new
    parentheses = getattr(new, "lpar", ())
    if parentheses and all(
        mine is old for mine, old in zip(parentheses, getattr(place.node, "lpar", ()), strict=False)
    ):
        # They stay: a node's span doesn't count them.
        new = new.with_changes(lpar=[], rpar=[])
    first, last = place.span.start, place.span.end
    head = lines[first.line - 1][: first.column]
    tail = lines[last.line - 1][last.column :]
    # The span of an operator begins with the space before it.
    space = " " if lines[first.line - 1][first.column :].startswith(" ") else ""
    text = head + space + module.code_for_node(new).strip() + tail
    before, after = lines[: first.line - 1], lines[last.line :]
    was = " ".join("".join(lines[first.line - 1 : last.line]).split())
    return was, " ".join(text.split()), "".join([*before, text, *after])


@dataclass(frozen=True)
class _Place:
    node: cst.CSTNode
    new: cst.CSTNode
    span: CodeRange
    function: str
    body: CodeRange
    lines: tuple[int, ...]


class _Finder(cst.CSTVisitor):
    """Finds what may be changed into what."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.places: list[_Place] = []
        self._names: list[str] = []
        self._functions: list[cst.FunctionDef] = []
        self._lines: list[tuple[int, ...]] = [()]

    # Where it is.

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _left_out(node):
            return False
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._names.append(node.name.value)
        if isinstance(node, cst.FunctionDef):
            self._functions.append(node)
        if isinstance(node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            self._lines.append(self._lines_of(node))
        if self._functions or _is_constant(node):
            for old, new in _mutations(node):
                span = self.get_metadata(PositionProvider, old)
                body = self.get_metadata(PositionProvider, (*self._functions, node)[0])
                function = ".".join(self._names)
                self.places.append(_Place(old, new, span, function, body, self._lines[-1]))
        if isinstance(node, (cst.FunctionDef, cst.ClassDef, cst.AnnAssign, cst.Call, cst.Assign)):
            self._visit_parts(node)
            return False
        return bool(self._functions) or isinstance(
            node, (cst.Module, cst.SimpleStatementLine, cst.IndentedBlock, cst.Param)
        )

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if _left_out(original_node):
            return
        if isinstance(original_node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            self._lines.pop()
        if isinstance(original_node, (cst.FunctionDef, cst.ClassDef)):
            self._names.pop()
        if isinstance(original_node, cst.FunctionDef):
            self._functions.pop()

    def _visit_parts(self, node: cst.CSTNode) -> None:
        """Go on with those parts of the node that may be mutated."""
        parts: Iterable[cst.CSTNode | None] = ()
        if isinstance(node, cst.FunctionDef):
            parameters = (*node.params.params, *node.params.kwonly_params)
            parts = (*(parameter.default for parameter in parameters), node.body)
        elif isinstance(node, cst.ClassDef):
            parts = (node.body,)
        elif isinstance(node, (cst.AnnAssign, cst.Assign)):
            parts = (node.value,) if self._functions else ()
        elif isinstance(node, cst.Call) and not m.matches(node.func, _LOGGING):
            values = [arg.value for arg in node.args if not _is_for_people(arg)]
            parts = (node.func, *(values[1:] if m.matches(node.func, _CAST) else values))
        for part in parts:
            if part is not None:
                part.visit(self)

    def _lines_of(self, node: cst.CSTNode) -> tuple[int, ...]:
        span = self.get_metadata(PositionProvider, node)
        end = span.end.line
        body = getattr(node, "body", None)
        # The head of a function is run at import: a default is one of all its lines.
        headed = isinstance(node, cst.BaseCompoundStatement) and not isinstance(
            node, cst.FunctionDef
        )
        if headed and isinstance(body, cst.CSTNode):
            end = max(span.start.line, self.get_metadata(PositionProvider, body).start.line - 1)
        return tuple(range(span.start.line, end + 1))


_CAST = m.Name("cast")
_LOGGING = m.Attribute(value=m.Name("logger"))
_BEFORE_TESTS = m.Name("TYPE_CHECKING") | m.Comparison(m.Attribute(attr=m.Name("version_info")))


def _left_out(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.FunctionDef):
        return node.name.value == "__repr__" or any(
            m.matches(decorator.decorator, m.Name("overload")) for decorator in node.decorators
        )
    if isinstance(node, cst.If):
        return m.matches(node.test, _BEFORE_TESTS)
    if isinstance(node, cst.Expr):
        return isinstance(node.value, (cst.BaseString, cst.Ellipsis))
    return isinstance(
        node, (cst.Annotation, cst.Assert, cst.Import, cst.ImportFrom, cst.FormattedString)
    )


def _is_constant(node: cst.CSTNode) -> bool:
    """Tell whether it is an assignment like ``_LINGER = 1.0``."""
    return m.matches(
        node,
        m.Assign(targets=[m.AssignTarget(m.Name())], value=m.Integer() | m.Float()),
    )


def _is_words(value: cst.BaseExpression) -> bool:
    if isinstance(value, cst.SimpleString):
        return " " in str(value.evaluated_value)
    return isinstance(value, (cst.FormattedString, cst.ConcatenatedString))


def _is_for_people(argument: cst.Arg) -> bool:
    task_name = argument.keyword is not None and argument.keyword.value == "name"
    return task_name or _is_words(argument.value)


def _mutations(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    for kind, operator in mutation_operators:
        if not isinstance(node, kind):
            continue
        changed: Iterable[cst.CSTNode] = operator(node)
        if operator is operator_string:
            usable = isinstance(node, cst.SimpleString) and not _is_words(node)
            changed = list(changed)[:1] if usable else ()
        elif operator is operator_arg_removal:
            changed = _without_arguments(cst.ensure_type(node, cst.Call))
        for new in changed:
            yield node, new
    yield from _own_mutations(node)


def _without_arguments(call: cst.Call) -> Iterator[cst.CSTNode]:
    if m.matches(call.func, m.Name("isinstance") | m.Name("len") | _CAST | _LOGGING):
        return
    for changed in operator_arg_removal(call):
        new = cst.ensure_type(changed, cst.Call).args
        # The first that is different is the one that was changed or is gone.
        pairs = zip(call.args, [*new, None], strict=False)
        place = next(at for at, (was, now) in enumerate(pairs) if was is not now)
        gone = len(new) < len(call.args)
        if _is_for_people(call.args[place]) or (gone and call.args[place].keyword is None):
            continue
        yield changed


def _own_mutations(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    if isinstance(node, (cst.Expr, cst.Del, cst.Raise)) or (
        isinstance(node, cst.Return) and node.value is None
    ):
        yield node, cst.Pass()
    elif isinstance(node, cst.Return):
        if not m.matches(node.value, m.Name("None")):
            yield node, node.with_changes(value=cst.Name("None"))
    elif isinstance(node, (cst.If, cst.CompIf)):
        for always in ("True", "False"):
            yield node.test, cst.Name(always)
    elif isinstance(node, cst.While) and not m.matches(node.test, m.Name("True")):
        yield node.test, cst.Name("False")
