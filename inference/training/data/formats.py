"""From a row to a record: which format the rows have, and what must be in each. What is not understood is counted, never lost in silence."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from inference.training.data.records import DataFormat, Fault, Record
from inference.training.data.rows import Row

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
MESSAGE_KEYS: Final = ("role", "content", "name", "tool_calls", "tool_call_id", "weight")
MAX_MESSAGES: Final = 500  # of one dialogue
MAX_CHARS: Final = 4 * 1024**2  # of one example, as inference.prompt reads at most
FIELDS: Final = {
    DataFormat.CHAT: ("messages", "tools"),
    DataFormat.COMPLETION: ("prompt", "completion"),
    DataFormat.PREFERENCE: ("prompt", "chosen", "rejected", "tools"),
    DataFormat.TEXT: ("text",),
}
NOT_FIELDS: Final = ("parallel_tool_calls", "goes_on")  # known, and nothing to train on


class Unfit(Exception):
    """Why a row is no record: a stable code, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def format_of(keys: Collection[str]) -> DataFormat | None:
    """What a row with these keys is. None: nothing that is known."""
    named = set(keys)
    if "messages" in named:
        return DataFormat.CHAT
    if {"input", "preferred_output", "non_preferred_output"} <= named or {"chosen", "rejected"} <= named:
        return DataFormat.PREFERENCE
    if {"prompt", "completion"} <= named:
        return DataFormat.COMPLETION
    return DataFormat.TEXT if "text" in named else None


def record_of(row: Row, form: DataFormat, ignored: dict[str, int]) -> Record | Fault:
    """The record of a row. Keys that nobody reads are counted in ``ignored``."""
    try:
        fields = MAKERS[form](row.values, ignored)
        _check_texts(fields)
    except Unfit as error:
        return Fault(row.line, error.code, str(error))
    return Record(row.line, form, fields)


def _chat(values: Mapping[str, Any], ignored: dict[str, int]) -> dict[str, Any]:
    messages = _messages(values.get("messages"), "messages", ignored)
    _note(values, FIELDS[DataFormat.CHAT], ignored)
    if messages[-1]["role"] != "assistant":
        raise Unfit("no_answer", "The last message is the assistant's: it is what is learned.")
    if not any(message["role"] == "assistant" and message.get("weight", 1) for message in messages):
        raise Unfit("no_answer", "No message of the assistant has a weight other than 0: nothing would be learned.")
    return {"messages": messages, "tools": _tools(values.get("tools"))}


def _completion(values: Mapping[str, Any], ignored: dict[str, int]) -> dict[str, Any]:
    _note(values, FIELDS[DataFormat.COMPLETION], ignored)
    completion = _text(values, "completion")
    if not completion.strip():
        raise Unfit("empty_answer", "The completion is empty: nothing would be learned.")
    return {"prompt": _text(values, "prompt"), "completion": completion}


def _text_record(values: Mapping[str, Any], ignored: dict[str, int]) -> dict[str, Any]:
    _note(values, FIELDS[DataFormat.TEXT], ignored)
    text = _text(values, "text")
    if not text.strip():
        raise Unfit("empty_text", "The text is empty.")
    return {"text": text, "goes_on": bool(values.get("goes_on"))}


def _preference(values: Mapping[str, Any], ignored: dict[str, int]) -> dict[str, Any]:
    if "preferred_output" in values:
        return _openai_preference(values, ignored)
    _note(values, FIELDS[DataFormat.PREFERENCE], ignored)
    prompt, chosen, rejected = (_dialogue(values.get(name)) for name in ("prompt", "chosen", "rejected"))
    if isinstance(chosen, str) and isinstance(rejected, str) and isinstance(prompt, str):
        if not chosen.strip() or not rejected.strip():
            raise Unfit("empty_answer", "Both answers, chosen and rejected, have text.")
        return _different({"prompt": prompt, "chosen": chosen, "rejected": rejected, "tools": None})
    both = {name: _messages(value, name, ignored) for name, value in (("chosen", chosen), ("rejected", rejected))}
    if prompt is None:  # TRL's form without a prompt: it is what both begin with
        common = 0
        while both["chosen"][common : common + 1] == both["rejected"][common : common + 1] != []:
            common += 1
        asked = both["chosen"][:common]
        both = {name: messages[common:] for name, messages in both.items()}
    else:
        asked = _messages(prompt, "prompt", ignored)
    return _dialogue_preference(asked, both["chosen"], both["rejected"], _tools(values.get("tools")))


def _openai_preference(values: Mapping[str, Any], ignored: dict[str, int]) -> dict[str, Any]:
    """https://platform.openai.com/docs/guides/direct-preference-optimization"""
    asked = _decoded(values.get("input"))
    if not isinstance(asked, dict):
        raise Unfit("bad_field", "“input” is an object with “messages”.")
    _note(values, ("input", "preferred_output", "non_preferred_output"), ignored)
    _note(asked, ("messages", "tools"), ignored, "input.")
    return _dialogue_preference(
        _messages(asked.get("messages"), "input.messages", ignored),
        _messages(values.get("preferred_output"), "preferred_output", ignored),
        _messages(values.get("non_preferred_output"), "non_preferred_output", ignored),
        _tools(asked.get("tools")),
    )


def _dialogue_preference(asked: list[Any], chosen: list[Any], rejected: list[Any], tools: Any) -> dict[str, Any]:
    if not asked:
        raise Unfit("no_prompt", "The two answers have no question in common.")
    for name, answer in (("preferred", chosen), ("other", rejected)):
        if not answer or answer[-1]["role"] != "assistant":
            raise Unfit("no_answer", f"The {name} answer ends with a message of the assistant.")
    return _different({"prompt": asked, "chosen": chosen, "rejected": rejected, "tools": tools})


def _different(fields: dict[str, Any]) -> dict[str, Any]:
    if fields["chosen"] == fields["rejected"]:
        raise Unfit("same_answers", "The preferred answer and the other one are the same: nothing would be learned.")
    return fields


def _messages(value: Any, where: str, ignored: dict[str, int]) -> list[dict[str, Any]]:
    value = _decoded(value)
    if not isinstance(value, list) or not value:
        raise Unfit("bad_field", f"“{where}” is a list of messages.")
    if len(value) > MAX_MESSAGES:
        raise Unfit("too_long", f"“{where}” has {len(value)} messages; {MAX_MESSAGES} are the most.")
    return [_message(message, f"{where}[{number}]", ignored) for number, message in enumerate(value)]


def _message(message: Any, where: str, ignored: dict[str, int]) -> dict[str, Any]:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise Unfit("bad_role", f"“{where}” has a “role”, one of {', '.join(ROLES)}.")
    _note(message, MESSAGE_KEYS, ignored, "message.")
    content, calls = message.get("content"), message.get("tool_calls")
    if isinstance(content, list):
        if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
            raise Unfit("bad_content", f"“{where}” has a part that is no text. Only text is trained on.")
        content = "\n".join(part["text"] for part in content)
    if content is not None and not isinstance(content, str):
        raise Unfit("bad_content", f"The content of “{where}” is a text.")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)):
        raise Unfit("bad_field", f"The “tool_calls” of “{where}” are a list of objects.")
    if message["role"] == "assistant" and not (content or "").strip() and not calls:
        raise Unfit(
            "empty_answer", f"“{where}” is an empty answer of the assistant. Remove it, or write what it should say."
        )
    made = {"role": message["role"], "content": content or ""}
    made |= {key: message[key] for key in ("name", "tool_call_id") if isinstance(message.get(key), str)}
    return made | ({"tool_calls": calls} if calls else {}) | _weight(message, where)


def _weight(message: dict[str, Any], where: str) -> dict[str, Any]:
    weight = message.get("weight")
    if weight is None:
        return {}
    if (
        message["role"] != "assistant"
        or isinstance(weight, bool)
        or not isinstance(weight, int | float)
        or not 0 <= weight <= 1
    ):
        raise Unfit(
            "bad_weight",
            f"The weight of “{where}” is a number from 0 to 1, and only the assistant's messages have one.",
        )
    return {"weight": weight}


def _tools(value: Any) -> list[dict[str, Any]] | None:
    value = _decoded(value)
    if value in (None, []):
        return None
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise Unfit("bad_field", "“tools” is a list of objects.")
    return value


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise Unfit("bad_field", f"“{name}” is a text." if name in values else f"“{name}” is missing.")
    return value


def _decoded(value: Any) -> Any:
    """A column of a CSV holds lists as JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _dialogue(value: Any) -> Any:
    """A text stays one, though it may look like JSON, unless it is a list of messages."""
    made = _decoded(value)
    is_dialogue = isinstance(made, list) and all(isinstance(item, dict) and "role" in item for item in made)
    return made if is_dialogue else value


def _note(values: Mapping[str, Any], known: tuple[str, ...], ignored: dict[str, int], prefix: str = "") -> None:
    for key, value in values.items():
        if value is not None and key not in known and key not in NOT_FIELDS:
            name = f"{prefix}{key}"[:80]
            ignored[name] = ignored.get(name, 0) + 1


def _check_texts(value: Any) -> None:
    """Raises Unfit for what no tokenizer can read, and for more of it than is read."""
    chars, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            chars += len(item)
            if "\0" in item:
                raise Unfit("nul", "There is a NUL character in it. Was the file written as UTF-16, or cut off?")
            if not item.isascii() and not item.isprintable() and _has_surrogate(item):
                raise Unfit("surrogate", "There is half of a character in it (a lone \\ud800…\\udfff). Write it whole.")
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    if chars > MAX_CHARS:
        raise Unfit("too_long", f"The example has {chars} characters; {MAX_CHARS} are the most.")


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


MAKERS: Final = {
    DataFormat.CHAT: _chat,
    DataFormat.COMPLETION: _completion,
    DataFormat.PREFERENCE: _preference,
    DataFormat.TEXT: _text_record,
}
