"""Chat templates: jinja2 programs that come with a model and turn a conversation into its prompt.

Rendered exactly as transformers does (`transformers.utils.chat_template_utils`), in a bounded sandbox.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.parser import Parser

from edgekit.errors import BundleError, EdgekitError, UsageError
from edgekit.sandbox import BoundedEnvironment, Budget, spending

Message = Mapping[str, Any]

_OTHER_MODEL = "use another bundle, or send the prompt without the template (raw)"


def render_chat(
    template: str,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
    bos_token: str | None = "",
    eos_token: str | None = "",
    **variables: Any,  # noqa: ANN401 - a template may ask for anything
) -> str:
    """Turn a conversation into the prompt text that a model was trained on.

    Args:
        template: A jinja2 chat template.
        messages: Mappings with `role` and `content`, in order.
        tools: JSON schemas of functions the model may call.
        add_generation_prompt: Whether the text ends where the model's answer begins.
        bos_token: The text of the beginning-of-sequence token; None leaves it undefined, as a tokenizer without one.
        eos_token: The same of the end of the sequence.
        variables: What else the template knows, such as `date_string` or `enable_thinking`.

    Raises:
        UsageError: the messages are malformed, or the template refuses them (with its own message).
        BundleError: the template is no valid jinja2, reaches out of the sandbox, or takes too much time or memory.
    """
    check_messages(messages)
    tokens = {"bos_token": bos_token, "eos_token": eos_token}
    known = {
        **{name: text for name, text in tokens.items() if text is not None},
        **variables,
        "messages": [dict(message) for message in messages],
        "tools": None if tools is None else list(tools),
        "documents": variables.get("documents"),
        "add_generation_prompt": add_generation_prompt,
    }
    try:
        with spending(Budget(len(template), known)):
            return _compiled(template).render(known)
    except _RefusalError as error:
        raise UsageError(f"the chat template refuses these messages: {error}", "change their roles or order") from error
    except (SecurityError, OverflowError) as error:  # OverflowError: jinja2's own bound of range()
        raise BundleError(f"the chat template is refused: {error}", _OTHER_MODEL) from error
    except TemplateSyntaxError as error:
        raise BundleError(
            f"the chat template is no valid jinja2: line {error.lineno}: {error}", _OTHER_MODEL
        ) from error
    except (TemplateError, ZeroDivisionError, AssertionError, AttributeError, LookupError, MemoryError) as error:
        raise _failure(error) from error
    except (RuntimeError, SyntaxError, TypeError, ValueError) as error:  # what Python code that jinja2 makes can raise
        raise _failure(error) from error


def check_messages(messages: Sequence[Message]) -> None:
    """Check the form of a conversation.

    Raises:
        UsageError: it is empty, or a message lacks its role or its content; the error names the message.
    """
    hint = 'a conversation is a list such as [{"role": "user", "content": "Hello"}]'
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Sequence):
        raise UsageError(f"the messages are a {type(messages).__name__}, not a list", hint)
    if not messages:
        raise UsageError("the list of messages is empty", hint)
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise UsageError(f"message {index} is a {type(message).__name__}, not a mapping", hint)
        role = message.get("role")
        if not isinstance(role, str) or not role:
            raise UsageError(f"message {index} has the role {role!r}; it must be a text such as 'user'", hint)
        content = message.get("content")
        parts = isinstance(content, list) and all(isinstance(part, Mapping) for part in content)
        if not (isinstance(content, str) or parts or (content is None and message.get("tool_calls"))):
            found = "no content" if content is None else f"content that is a {type(content).__name__}"
            raise UsageError(f"message {index} (role {role!r}) has {found}; it must be a text", hint)


class _RefusalError(TemplateError):
    """The template's own `raise_exception`."""


class _Generation(Extension):
    """`{% generation %}`, which marks the assistant's part for training; its content is rendered as it is."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(lineno)

    def _render(self, caller: Any) -> Any:  # noqa: ANN401 - jinja2 passes a macro
        return caller()


@lru_cache(maxsize=1)
def _environment() -> BoundedEnvironment:
    environment = BoundedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.add_filter("tojson", _to_json)
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    return _environment().from_string(template)


def _to_json(
    value: Any,  # noqa: ANN401 - any JSON value
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise _RefusalError(str(message))


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - the wall clock, as in transformers


def _failure(error: Exception) -> EdgekitError:
    reason = str(error) or type(error).__name__
    return EdgekitError(f"the chat template failed on these messages: {reason}", _OTHER_MODEL)
