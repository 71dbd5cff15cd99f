"""The jinja sandbox that chat templates run in: bounded in steps, in the text it makes and in time.

jinja2's own sandbox keeps a template away from Python's internals, but lets it loop for hours or fill the memory. A
template comes with a bundle, and a bundle is untrusted, so everything here that a template can do is paid from a
`Budget`; what would overdraw it is refused before it is computed.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, cast

from jinja2 import Environment, nodes, pass_context, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext, Undefined, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

MAX_STEPS = 200_000
"""Loop iterations, calls, filters and arithmetic of one rendering."""
MAX_SIZE = 16_000_000
"""Characters that one rendering may produce on the way, besides `SIZE_PER_INPUT` for each one it was given."""
SIZE_PER_INPUT = 1024
MAX_SECONDS = 10.0
"""Processor time: long scans of long texts count as single steps."""

# These pass their items on as they are; all other filters turn their arguments into text or copy them.
_STRUCTURAL = {
    *("attr", "count", "d", "default", "dictsort", "first", "groupby", "items", "last", "length", "list", "map", "max"),
    *("min", "random", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"),
}


class Budget:
    """What one rendering may still spend."""

    def __init__(self, source_size: int, inputs: Any) -> None:  # noqa: ANN401 - whatever the template is given
        self.source_size = source_size
        self.steps = MAX_STEPS
        self.size = float("inf")
        self._deadline = time.thread_time() + MAX_SECONDS
        self.size = MAX_SIZE + SIZE_PER_INPUT * self.measure(inputs)

    def spend(self, steps: int, size: int = 0) -> None:
        """Pay for work done.

        Raises:
            SecurityError: more than there was.
        """
        self.steps -= steps
        self.size -= size
        if self.size < 0:
            raise SecurityError(f"it makes more than {MAX_SIZE:,} characters")
        if self.steps < 0:
            raise SecurityError(f"it takes more than {MAX_STEPS:,} steps")
        if self.steps % 64 == 0:
            self._check_time()

    def require(self, size: int) -> None:
        """Refuse work whose result may be larger than what is left."""
        if size > self.size:
            raise SecurityError(f"it makes more than {MAX_SIZE:,} characters")

    def measure(self, value: Any) -> int:  # noqa: ANN401 - any value of a template
        """Return about how long `value` is as text, and refuse it where that exceeds what is left."""
        total, seen, pending = 0, 0, [value]
        while pending:
            item = pending.pop()
            seen += 1
            if seen % 4096 == 0:
                self._check_time()
            total += 2 + _length(item)  # two for quotes or a comma
            if isinstance(item, Namespace):
                total += 64  # it may hold itself
                item = object.__getattribute__(item, "_Namespace__attrs")
            if isinstance(item, Mapping):
                pending.extend(item.keys())
                pending.extend(item.values())
            elif isinstance(item, Collection) and not isinstance(item, (str, bytes, Undefined)):
                pending.extend(item)
            if total > self.size:
                self.require(total)
        return total

    def _check_time(self) -> None:
        if time.thread_time() > self._deadline:
            raise SecurityError(f"it takes more than {MAX_SECONDS:g} seconds")


_budget: ContextVar[Budget] = ContextVar("budget of the chat template that is being rendered")


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """jinja2's immutable sandbox in which everything is paid from the budget that `spending` sets."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - jinja2's own options
        super().__init__(finalize=_written, **options)
        self.globals.pop("lipsum", None)
        self.filters = {name: _paid(name, function) for name, function in self.filters.items()}
        self.filters["edgekit_counted"] = _counted
        self.filters["edgekit_joined"] = _paid("joined", _joined)

    def add_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Add a filter that is paid for like the others."""
        self.filters[name] = _paid(name, function)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return cast("nodes.Template", _Bounds().visit(super()._parse(source, name, filename)))

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:  # noqa: ANN401 - as in jinja2
        """Refuse a reach for Python's internals at once; jinja2 alone would print an empty text for some of them."""
        if attribute.startswith("_"):
            raise SecurityError(f"it reaches for the attribute {attribute!r} of a {type(obj).__name__}")
        return super().unsafe_undefined(obj, attribute)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - as in jinja2
        """Compute an arithmetic expression whose result fits the budget."""
        budget = _budget.get()
        if operator == "*":
            for count, sequence in ((left, right), (right, left)):
                if isinstance(count, int) and not isinstance(sequence, (int, float)):
                    budget.require(count * _length(sequence))
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            budget.require(left.bit_length() * abs(right))
        elif operator == "%" and isinstance(left, str):
            budget.require(_formatted_size(budget, left, right))
        result = super().call_binop(context, operator, left, right)
        budget.spend(1, _length(result))
        return result

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in jinja2
        """Call a method, macro or recursive loop whose result fits the budget."""
        budget = _budget.get()
        budget.spend(1)
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        if isinstance(function, LoopContext) and args:
            args = (_Counted(args[0], budget.source_size), *args[1:])
        elif isinstance(owner, str) and function.__name__ in ("format", "format_map"):
            budget.require(_formatted_size(budget, owner, (args, kwargs)))
        elif isinstance(owner, (str, bytes, int)):
            budget.require(_product(budget, owner, (*args, *kwargs.values())))
        result = super().call(context, function, *args, **kwargs)
        budget.spend(0, _length(result))
        return result


class spending:  # noqa: N801 - a context manager
    """Within it, `BoundedEnvironment` compiles and renders at the cost of `budget`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __enter__(self) -> None:
        self._token = _budget.set(self._budget)

    def __exit__(self, *_: object) -> None:
        _budget.reset(self._token)


class _Bounds(NodeTransformer):
    """Routes every loop and every `~` through a filter that pays for it; jinja2 has no hook for them."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - jinja2's naming
        self.generic_visit(node)
        text = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        node.iter = self._filter(node, node.iter, "edgekit_counted", [nodes.Const(text)])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - jinja2's naming
        self.generic_visit(node)
        return self._filter(node, nodes.List(node.nodes), "edgekit_joined", [])

    @staticmethod
    def _filter(node: nodes.Node, value: nodes.Node, name: str, args: list[nodes.Expr]) -> nodes.Filter:
        made = nodes.Filter(value, name, args, [], None, None)
        made.set_environment(cast("Environment", node.environment))
        made.set_lineno(node.lineno)
        return made


class _Counted:
    """An iterable whose every item costs a step and the text of the loop's body."""

    def __init__(self, items: Iterable[Any], text: int) -> None:
        self._items = items
        self._text = text
        iter(items)  # what cannot be iterated is told as jinja2 would

    def __len__(self) -> int:
        return len(self._items)  # type: ignore[arg-type]  # a TypeError is what jinja2 expects of an iterator

    def __iter__(self) -> Iterator[Any]:
        budget = _budget.get()
        for item in self._items:
            budget.spend(1, self._text)
            yield item


@pass_context
def _counted(_context: Context, items: Iterable[Any], text: int) -> _Counted:
    return _Counted(items, text)


@pass_eval_context
def _joined(context: EvalContext, parts: list[Any]) -> str:
    return markup_join(parts) if context.autoescape else str_join(parts)


def _paid(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)  # keeps jinja2's marks that ask for the context
    def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - filters take and give anything
        budget = _budget.get()
        marked = 1 if hasattr(function, "jinja_pass_arg") else 0
        if name == "join" and len(args) > marked and isinstance(args[marked], Iterator):
            args = (*args[:marked], list(args[marked]), *args[marked + 1 :])
        if name not in _STRUCTURAL and len(args) > marked:
            budget.require(_product(budget, args[marked], (*args[marked + 1 :], *kwargs.values())))
        result = function(*args, **kwargs)
        budget.spend(1, _length(result))
        return result

    return run


def _product(budget: Budget, value: Any, others: tuple[Any, ...]) -> int:  # noqa: ANN401 - any value of a template
    """Bound the result of any method or filter: each part of the value replaced, padded or joined by the others."""
    factor = 1 + sum(abs(other) if isinstance(other, int) else budget.measure(other) for other in others)
    return budget.measure(value) * factor


def _formatted_size(budget: Budget, form: str, values: Any) -> int:  # noqa: ANN401 - any value of a template
    widths = [int(number[:12]) for number in re.findall(r"\d+", form)]
    if "*" in form or re.search(r"\{[^{}]*\{", form):  # widths that come from the values
        widths += [abs(number) for number in _numbers(values)]
    return (len(form) + max(widths, default=0)) * (1 + budget.measure(values))


def _numbers(values: Any) -> Iterator[int]:  # noqa: ANN401 - any value of a template
    if isinstance(values, int):
        yield values
    elif isinstance(values, Mapping):
        yield from _numbers(tuple(values.values()))
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _numbers(value)


def _length(value: Any) -> int:  # noqa: ANN401 - any value of a template
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, (list, tuple, dict, set)):
        return 16 + 8 * len(value)
    return value.bit_length() // 3 if isinstance(value, int) else 0


def _written(value: Any) -> Any:  # noqa: ANN401 - any value of a template
    budget = _budget.get()
    budget.spend(0, len(value) if isinstance(value, str) else budget.measure(value))
    return value
