from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edgekit.chat import render_chat
from edgekit.errors import BundleError, EdgekitError, UsageError

USER = [{"role": "user", "content": "Hi <there> & you's"}]


@cache
def recorded(shared: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((shared / "golden" / "chat_templates.json").read_bytes())
    return entries


def test_every_recorded_rendering(shared: Path) -> None:
    entries = recorded(shared)
    assert len(entries) > 100
    for entry in entries:
        arguments = (entry["template"], entry["messages"], entry["tools"], entry["add_generation_prompt"])
        tokens = {"bos_token": entry["bos"], "eos_token": entry["eos"]}
        if "error" in entry:
            with pytest.raises(EdgekitError) as caught:
                render_chat(*arguments, **tokens, **entry.get("kwargs", {}))
            assert entry["error"] in caught.value.message, entry["name"]
        else:
            assert render_chat(*arguments, **tokens, **entry.get("kwargs", {})) == entry["rendered"], entry["name"]


def test_blocks_leave_no_lines_and_no_html() -> None:
    template = "{% for m in messages %}\n    {% if true %}\n{{ m | tojson }}\n    {% endif %}\n{% endfor %}"
    assert render_chat(template, USER) == '{"role": "user", "content": "Hi <there> & you\'s"}\n'


def test_what_transformers_adds_to_jinja() -> None:
    assert render_chat("{% generation %}{{ messages[0].role }}{% endgeneration %}", USER) == "user"
    loop = "{% for x in range(9) %}{% if x == 2 %}{% break %}{% endif %}{% if x == 0 %}{% continue %}{% endif %}{{ x }}"
    assert render_chat(loop + "{% endfor %}", USER) == "1"
    assert render_chat("{{ {'ä': 1} | tojson(indent=1) }}", USER) == '{\n "ä": 1\n}'
    assert render_chat("{{ strftime_now('%Y') }}", USER) in {str(datetime.now().year + d) for d in (-1, 0, 1)}  # noqa: DTZ005
    assert render_chat("{{ tools is defined }} {{ tools is none }} {{ documents is none }}", USER) == "True True True"


def test_loops_keep_what_jinja_offers_in_them() -> None:
    template = (
        "{% for x in messages %}{{ loop.index }}/{{ loop.length }} {{ loop.last }} {{ loop.previtem }}{% endfor %}"
    )
    assert render_chat(template, USER) == "1/1 True "
    nested = "{% for x in [[1, [2]], [3]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}"
    assert render_chat(nested + "{% endfor %}", USER) == "(1(2))(3)"
    assert render_chat("{% for x in missing %}{% else %}none{% endfor %}", USER) == "none"
    assert render_chat("{{ 'a' ~ 1 ~ none ~ messages[0].role }}", USER) == "a1Noneuser"


def test_tokens_and_variables() -> None:
    template = "{{ bos_token is defined }}{{ bos_token }}|{{ eos_token }}|{{ enable_thinking }}"
    assert render_chat(template, USER, bos_token="<s>", eos_token="</s>", enable_thinking=False) == "True<s>|</s>|False"
    assert render_chat(template, USER, bos_token=None) == "False||"


def test_the_messages_are_not_changed() -> None:
    messages = [{"role": "user", "content": "Hi"}]
    with pytest.raises(EdgekitError):
        render_chat("{% set _ = messages.append(1) %}", messages)
    assert messages == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "empty"),
        ("Hi", "a str, not a list"),
        ({"role": "user", "content": "Hi"}, "a dict, not a list"),
        (["Hi"], "message 0 is a str"),
        ([*USER, {"content": "Hi"}], "message 1 has the role None"),
        ([{"role": 3, "content": "Hi"}], "the role 3"),
        ([{"role": "", "content": "Hi"}], "the role ''"),
        ([{"role": "user"}], "no content"),
        ([{"role": "user", "content": 7}], "content that is a int"),
        ([{"role": "user", "content": ["Hi"]}], "content that is a list"),
    ],
)
def test_malformed_messages(messages: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        render_chat("{{ messages }}", messages)


def test_an_assistant_that_calls_tools_needs_no_content() -> None:
    messages = [*USER, {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}]
    assert render_chat("{{ messages[1].tool_calls[0].name }}", messages) == "f"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ messages | map(attribute='__class__') | list }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ namespace.__class__ }}",
        "{{ self.__init__ }}",
        "{{ messages.append(1) }}",
        "{% for m in messages %}{{ m.clear() }}{% endfor %}",
    ],
)
def test_reaching_out_of_the_sandbox(template: str) -> None:
    with pytest.raises(BundleError, match="the chat template is refused"):
        render_chat(template, USER)


DOUBLING = "{% set n = namespace(x=START) %}{% for i in range(99) %}{% set n.x = STEP %}{% endfor %}"


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}" + "long text " * 100 + "{% endfor %}",
        "{% set x %}{% for i in range(99999) %}{{ 'a' * 9999 }}{% endfor %}{% endset %}",
        "{% for x in range(9999) recursive %}{% if loop.depth0 < 2 %}{{ loop(range(9999)) }}{% endif %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(100) }}",
        DOUBLING.replace("START", "'a'").replace("STEP", "n.x ~ n.x"),
        DOUBLING.replace("START", "'a'").replace("STEP", "n.x + n.x"),
        DOUBLING.replace("START", "2").replace("STEP", "n.x * n.x"),
        DOUBLING.replace("START", "[1]").replace("STEP", "[n.x, n.x]") + "{{ n.x }}",
        DOUBLING.replace("START", "[1]").replace("STEP", "[n.x, n.x]") + "{{ n.x | tojson }}",
        "{{ 'a' * 10**9 }}",
        "{{ 10**9 * [0] }}",
        "{{ 9 ** (9 ** 9) }}",
        "{{ 'x' | center(10**9) }}",
        "{{ 'x'.center(10**9) }}",
        "{{ 'x'.encode('utf-8') * 10**9 }}",
        "{{ (5).to_bytes(10**9, 'big') }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (10**9, 1) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{:>{w}}'.format(1, w=10**9) }}",
        "{{ ('a' * 99999).replace('', 'b' * 9999) }}",
        "{{ ('a' * 99999) | replace('a', 'b' * 9999) }}",
        "{{ (['a' * 99999] * 99999) | join }}",
        "{{ ([{'x': 'a' * 99999}] * 99999) | map(attribute='x') | join }}",
        "{{ [1] | batch(10**9, 'x') | list }}",
        "{{ [1] | tojson(indent=10**9) }}",
        "{{ 9 | round(10**9) }}",
        "{% set n = namespace(x=1) %}{% set n.x = [n, n] %}{{ n }}",
    ],
)
def test_exhausting_the_machine(template: str) -> None:
    with pytest.raises(BundleError, match="the chat template is refused"):
        render_chat(template, USER)


@pytest.mark.parametrize("template", ["{% if %}", "{% for x in y %}", "{{ x | nothing }}", "{{ " + "(" * 9999])
def test_templates_that_are_no_jinja(template: str) -> None:
    with pytest.raises(EdgekitError, match="the chat template"):
        render_chat(template, USER)


@pytest.mark.parametrize("template", ["{{ 1 / 0 }}", "{{ x.y.z }}", "{% include 'x' %}", "{{ messages[0].f() }}"])
def test_templates_that_fail(template: str) -> None:
    with pytest.raises(EdgekitError, match="the chat template failed"):
        render_chat(template, USER)


def test_long_conversations_fit() -> None:
    template = (
        "{% set n = namespace(text='') %}{% for m in messages %}"
        "{% set n.text = n.text ~ m.role | upper ~ (m.content | trim | replace('a', 'b')) %}{% endfor %}{{ n.text }}"
    )
    messages = [{"role": "user", "content": "a word " * 15}] * 1000
    assert len(render_chat(template, messages)) == 1000 * (4 + 104)
