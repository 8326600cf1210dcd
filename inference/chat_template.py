"""Renders a release's chat template: somebody else's program, in the process that serves everybody.

The environment is configured as transformers configures its own, so a template gives the same text. On top of Jinja's immutable
sandbox, which keeps a template from Python's objects, every render has a budget of steps, characters and time: a template can loop
and build large values, and one that behaves when it is checked need not behave later. Loops and macros are charged where they turn,
operators, calls and filters by the size of what they make, before they make it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MAX_TEMPLATE_CHARS: Final = 256 * 1024
MAX_OUTPUT_CHARS: Final = 4 * 1024 * 1024
MAX_STEPS: Final = 200_000
MAX_MADE: Final = 8 * MAX_OUTPUT_CHARS  # characters and list items, over the whole render
MAX_RENDER_S: Final = 1.0
MAX_INT_BITS: Final = 256
MAX_FORMAT_CHARS: Final = 2_000
FILTERS: Final = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "indent", "int", "items", "join",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select",
    "selectattr", "sort", "string", "title", "trim", "unique", "upper",
)  # fmt: skip
PADDING: Final = ("center", "ljust", "rjust", "zfill", "expandtabs")  # methods that take a width
_WIDE_FORMAT: Final = re.compile(
    r"\d{5}|\{[^{}]*\{|%[^a-z]*\*"
)  # a width of 10,000 or more, or one taken from an argument


class TemplateFailed(Exception):
    """A template that cannot be compiled, refuses the messages, or goes beyond its budget. The message is the reason."""


class Budget:
    """What one render may still use."""

    def __init__(self) -> None:
        self._steps, self._made = MAX_STEPS, MAX_MADE
        self._until = time.monotonic() + MAX_RENDER_S

    def spend(self, made: int = 0) -> None:
        """One step that makes ``made`` characters or items. Raises :class:`TemplateFailed`."""
        self._steps -= 1
        self._made -= made
        if self._steps < 0 or self._made < 0 or time.monotonic() > self._until:
            raise TemplateFailed("the chat template takes too long or makes too much text")


_budget: ContextVar[Budget] = ContextVar("chat_template_budget")


def _spend(made: int = 0) -> str:
    _budget.get().spend(made)
    return ""


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, tuple, dict)) else 0


def _flat_size(value: Any, known: dict[int, int]) -> int:
    """The size of a value were it written out: ``[x, x]`` counts x twice, so sharing hides nothing. ``known``: by identity."""
    if not isinstance(value, (list, tuple, dict)):
        return 1
    if id(value) not in known:
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_flat_size(item, known) for item in items)
    return known[id(value)]


def _built(value: Any) -> Any:
    """A list, tuple or dict that a template has put together, charged."""
    _spend(_flat_size(value, {}))
    return value


def _charge_join(separator: Any, items: list[Any]) -> None:
    _spend(sum(map(_size, items)) + len(items) * (1 + _size(separator)))


def _charge_replace(text: Any, old: Any, new: Any) -> None:
    text, old, new = str(text), str(old), str(new)
    _spend(len(text) + (text.count(old) if old else len(text) + 1) * len(new))


def _check_format(text: str) -> None:
    if len(text) > MAX_FORMAT_CHARS or _WIDE_FORMAT.search(text):
        raise TemplateFailed("the chat template formats text with a pattern that is not accepted")


def _concat(*parts: Any) -> str:
    """What ``~`` does, charged."""
    texts = [str(part) for part in parts]
    _spend(sum(map(len, texts)))
    return "".join(texts)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """Jinja's own escapes HTML; transformers' does not."""
    if (isinstance(indent, int) and indent > 16) or (isinstance(indent, str) and len(indent) > 16):
        raise TemplateFailed("the chat template indents JSON too far")
    _spend()
    text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    _spend(len(text))
    return text


def _raise_exception(message: str) -> None:
    raise TemplateFailed(str(message)[:500])


def _strftime_now(pattern: str) -> str:
    if re.search(r"\d{3}", pattern):  # glibc takes a width: %9999999d
        raise TemplateFailed("the chat template formats the time with a width that is not accepted")
    return datetime.now().strftime(pattern)


class _PlainNamespace(Namespace):
    """``namespace()`` that keeps no names of Python's internals."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise TemplateFailed(f"the chat template sets the reserved name {name[:50]!r}")
        super().__setitem__(name, value)


class _Generation(Extension):
    """``{% generation %}`` marks what a model was trained to say; for rendering it is just its body."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})
    # Reached from compiled templates by ``environment.<name>``, which no template can shadow.
    spend = staticmethod(_spend)
    concat_charged = staticmethod(_concat)
    built = staticmethod(_built)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator in "**":
            _check_product(operator, left, right)
        elif operator == "%" and isinstance(left, str):
            _check_format(left)
            _spend(len(left) + sum(map(_size, right if isinstance(right, tuple) else (right,))))
        else:
            _spend(_size(left) + _size(right))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if obj is _spend or obj is _concat or obj is _built:
            return obj(*args)
        _charge_call(obj, args, kwargs)
        return _built(super().call(context, obj, *args, **kwargs))


def _check_product(operator: str, left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * max(abs(right), 1) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > MAX_INT_BITS:
            raise TemplateFailed("the chat template makes a number that is too large")
        _spend()
    else:
        _spend(
            _size(left) * max(right, 0)
            if isinstance(right, int)
            else _size(right) * max(left, 0)
            if isinstance(left, int)
            else 0
        )


def _charge_call(obj: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Methods of text that can make much out of little are charged before they run."""
    method = getattr(obj, "__wrapped__", obj)  # Jinja wraps ``format``
    text, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
    if not isinstance(text, str):
        _spend()
    elif name == "join" and args:
        _charge_join(text, list(args[0]))
    elif name == "replace" and len(args) > 1:
        _charge_replace(text, args[0], args[1])
    elif name in PADDING:
        _spend(len(text) * 16 + sum(abs(arg) for arg in args if isinstance(arg, int)) * (text.count("\t") + 1))
    elif name in ("format", "format_map"):
        _check_format(text)
        _spend(len(text) * (1 + sum(map(_size, args)) + sum(map(_size, kwargs.values()))))
    else:
        _spend(len(text))


def _charged(name: str, wrapped: Callable[..., Any]) -> Callable[..., Any]:
    """A filter, charged for its input and what it makes. Jinja's marks on the function (``pass_context``...) stay."""

    def run(*args: Any, **kwargs: Any) -> Any:
        value, rest = (args[1], args[2:]) if hasattr(wrapped, "jinja_pass_arg") else (args[0], args[1:])
        if name == "replace" and len(rest) > 1:
            _charge_replace(value, rest[0], rest[1])
        elif name == "join":
            items = list(value)
            _charge_join(rest[0] if rest else kwargs.get("d", ""), items)
        elif name in ("indent", "batch", "slice"):
            _spend(
                _size(value) * (1 + max((arg for arg in (*rest, *kwargs.values()) if isinstance(arg, int)), default=4))
            )
        else:
            _spend(_size(value))
        return wrapped(*args, **kwargs)

    if hasattr(wrapped, "jinja_pass_arg"):
        run.jinja_pass_arg = wrapped.jinja_pass_arg  # type: ignore[attr-defined]
    return run


def _finalize(value: Any) -> Any:
    """Every ``{{ }}`` passes here."""
    _spend(_size(value))
    return value


def _environment() -> _Environment:
    env = _Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Generation, loopcontrols],
        optimized=False,
        finalize=_finalize,
        cache_size=0,
    )
    env.filters = {name: _charged(name, env.filters[name]) for name in FILTERS} | {"tojson": _tojson}
    env.globals = {
        "range": env.globals["range"], "dict": lambda *args, **kwargs: dict(*args, **kwargs), "namespace": _PlainNamespace,
        "cycler": env.globals["cycler"], "joiner": env.globals["joiner"],
        "raise_exception": _raise_exception, "strftime_now": _strftime_now,
    }  # fmt: skip
    return env


def _charge_turns(tree: nodes.Template) -> None:
    """Charges every body that can run more than once at its head, every ``~``, and every list, tuple and dict that is built."""
    # Inner nodes come last in this list and are replaced first.
    for parent in reversed([tree, *tree.find_all(nodes.Node)]):
        for name, value in parent.iter_fields():
            setattr(
                parent, name, [_charged_node(v) for v in value] if isinstance(value, list) else _charged_node(value)
            )
        if isinstance(parent, (nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)):
            literal = sum(len(data.data) for data in parent.find_all(nodes.TemplateData))
            parent.body.insert(0, nodes.ExprStmt(_environment_call("spend", nodes.Const(literal))))
    tree.set_lineno(1)


def _charged_node(node: Any) -> Any:
    if isinstance(node, nodes.Concat):
        return _environment_call("concat_charged", *node.nodes)
    if isinstance(node, (nodes.List, nodes.Dict)) or (isinstance(node, nodes.Tuple) and node.ctx == "load"):
        return _environment_call("built", node)
    return node


def _environment_call(name: str, *args: nodes.Expr) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), list(args), [], None, None)


class ChatTemplate:
    """A compiled template."""

    def __init__(self, source: str) -> None:
        """Raises :class:`TemplateFailed` where it does not compile."""
        if len(source) > MAX_TEMPLATE_CHARS:
            raise TemplateFailed(
                f"the chat template has {len(source)} characters; {MAX_TEMPLATE_CHARS} are the most that is read"
            )
        self.source = source
        env = _environment()
        try:
            tree = env.parse(source)
            self.literals = "\0".join(node.data for node in tree.find_all(nodes.TemplateData)) + "\0"
            self.literals += "\0".join(node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str))
            _charge_turns(tree)
            tree.set_environment(env)
            self._template = env.from_string(tree)
        except (jinja2.TemplateError, RecursionError, MemoryError, SyntaxError, ValueError) as error:
            raise TemplateFailed(f"the chat template cannot be compiled: {error}") from error

    def render(self, **variables: Any) -> str:
        """``variables`` are JSON values. Raises :class:`TemplateFailed`."""
        token = _budget.set(Budget())
        try:
            pieces, length = [], 0
            for piece in self._template.generate(variables):
                pieces.append(piece)
                length += len(piece)
                if length > MAX_OUTPUT_CHARS:
                    raise TemplateFailed(f"the messages come to more than {MAX_OUTPUT_CHARS} characters")
            return "".join(pieces)
        except TemplateFailed:
            raise
        except Exception as error:  # a stranger's program: any exception is its failure, not ours
            raise TemplateFailed(f"the chat template failed: {type(error).__name__}: {error}") from error
        finally:
            _budget.reset(token)
