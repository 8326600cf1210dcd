"""Templates that try to take the process with them."""

from __future__ import annotations

import time

import pytest

from inference.chat_template import MAX_RENDER_S, MAX_TEMPLATE_CHARS, ChatTemplate, TemplateFailed

LOOP = "{% for a in range(99999) %}"
END = "{% endfor %}"
GROW = "{% set ns = namespace(s='aaaa', l=[1]) %}{% for i in range(60) %}"


@pytest.mark.parametrize(
    "source",
    [
        LOOP * 3 + END * 3,
        "{% set x %}" + LOOP + "a" * 10_000 + END + "{% endset %}",
        "{% macro f() %}" + "a" * 10_000 + "{% endmacro %}" + LOOP + "{% set x = f() %}" + END,
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for a in [1] recursive %}{{ loop([1]) }}" + END,
        LOOP + "{{ 'a' * 1000 }}" + END,
        "{{ 'a' * 10**9 }}",
        "{{ 10**9 * [1] }}",
        "{{ 9**9**9 }}",
        GROW + "{% set ns.s = ns.s ~ ns.s %}" + END,
        GROW + "{% set ns.s = ns.s + ns.s %}" + END,
        GROW + "{% set ns.s = ns.s * 4 %}" + END,
        GROW + "{% set ns.s = ns.s.replace('a', 'aaaa') %}" + END,
        GROW + "{% set ns.s = ns.s | replace('a', 'aaaa') %}" + END,
        GROW + "{% set ns.s = [ns.s, ns.s, ns.s] | join %}" + END,
        GROW + "{% set ns.s = ns.s.join([ns.s, ns.s, ns.s]) %}" + END,
        GROW + "{% set ns.s = '%s%s%s' % (ns.s, ns.s, ns.s) %}" + END,
        GROW + "{% set ns.s = '{0}{0}{0}'.format(ns.s) %}" + END,
        GROW + "{% set ns.l = [ns.l, ns.l] %}" + END + "{{ ns.l == ns.l }}{{ ns.l | tojson }}",
        GROW + "{% set ns.l = dict(a=ns.l, b=ns.l) %}" + END + "{{ ns.l | string }}",
        "{{ 'a'.center(10**9) }}",
        "{{ 'a'.zfill(10**9) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 10**9) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (10**9, 1) }}",
        "{{ messages | tojson(indent=1000000) }}",
        "{{ strftime_now('%999999999d') }}",
    ],
)
def test_a_template_that_makes_too_much_is_stopped_soon(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateFailed):
        ChatTemplate(source).render(messages=[{"role": "user", "content": "hi"}])
    assert time.monotonic() - started < 30 * MAX_RENDER_S


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__class__.x }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({}) }}",
        "{{ namespace.__init__.x }}",
        "{% set ns = namespace() %}{% set ns._x = 1 %}",
        "{{ raise_exception.__globals__.x }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{{ self.__init__.x }}",
        "{{ lipsum() }}",
        "{{ 'x' | nosuchfilter }}",
        "{{ undefined_thing.attribute }}",
    ],
)
def test_a_template_reaches_nothing_but_the_messages(source: str) -> None:
    with pytest.raises(TemplateFailed):
        ChatTemplate(source).render(messages=[{"role": "user", "content": "hi"}])


@pytest.mark.parametrize(
    "source", ["{% if %}", "{{ " + "(" * 5_000, "{% for a in b %}", "x" * (MAX_TEMPLATE_CHARS + 1)]
)
def test_a_template_that_cannot_be_compiled_is_refused_at_once(source: str) -> None:
    with pytest.raises(TemplateFailed):
        ChatTemplate(source)


def test_a_name_of_our_own_cannot_be_shadowed_to_escape_the_budget() -> None:
    source = "{% macro spend(x) %}{% endmacro %}{% set environment = 1 %}" + LOOP * 2 + END * 2
    with pytest.raises(TemplateFailed, match="too long"):
        ChatTemplate(source).render()


def test_budgets_are_per_render() -> None:
    template = ChatTemplate("{% for i in range(90000) %}{% endfor %}x")
    assert [template.render() for _ in range(3)] == ["x", "x", "x"]


def test_concatenation_inside_concatenation_is_kept() -> None:
    assert ChatTemplate("{{ 'a' ~ ('b' ~ 1 ~ none) ~ [1, (2, 3)] }}").render() == "ab1None[1, (2, 3)]"
