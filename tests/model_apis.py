"""What AI clients speak to their models: the streaming APIs of four vendors, as far as a turn with tools needs them.

Rules of this file
- An API reads a request and forms an answer; it has no state, and `model_server` says what the answer is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = dict[str, Any]


class Said(NamedTuple):
    """What the model says next: a sentence, or a call of the tool that the client offered as `tool`."""

    text: str = ""
    tool: str = ""
    arguments: JSON | None = None
    id: str = ""  # of the call; what the client hands back names it


class Api(Protocol):
    """A vendor's API."""

    def offered(self, body: JSON) -> list[str]:
        """The names of the tools that the client offers."""

    def results(self, body: JSON) -> dict[str, str]:
        """What the client handed back so far, by the call's id."""

    def events(self, said: Said) -> Iterator[JSON | str]:
        """The answer as server-sent events: their data, as JSON or as it is."""

    def whole(self, said: Said) -> JSON:
        """The answer in one piece."""


def texts(value: object) -> str:
    """Every text in a value, whatever is around it."""
    if isinstance(value, dict):
        return "\n".join(texts(each) for each in value.values())
    if isinstance(value, list):
        return "\n".join(map(texts, value))
    return value if isinstance(value, str) else ""


class Messages:
    """Anthropic's `/v1/messages`."""

    def offered(self, body: JSON) -> list[str]:
        """Their names."""
        return [tool["name"] for tool in body.get("tools", ())]

    def results(self, body: JSON) -> dict[str, str]:
        """Blocks of the user's messages."""
        blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
        return {block["tool_use_id"]: texts(block.get("content")) for block in blocks if block["type"] == "tool_result"}

    def whole(self, said: Said) -> JSON:
        """A message with one block."""
        block: JSON = {"type": "text", "text": said.text}
        if said.tool:
            block = {"type": "tool_use", "id": said.id, "name": said.tool, "input": said.arguments}
        return {**self._message(), "content": [block], "stop_reason": self._why(said)}

    def events(self, said: Said) -> Iterator[JSON]:
        """The block's frame, then what is in it."""
        yield {"type": "message_start", "message": self._message()}
        block: JSON = {"type": "text", "text": ""}
        delta: JSON = {"type": "text_delta", "text": said.text}
        if said.tool:
            block = {"type": "tool_use", "id": said.id, "name": said.tool, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(said.arguments)}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        end = {"stop_reason": self._why(said), "stop_sequence": None}
        yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}}
        yield {"type": "message_stop"}

    def _message(self) -> JSON:
        usage = {"input_tokens": 1, "output_tokens": 1}
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted"}
        return {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}

    def _why(self, said: Said) -> str:
        return "tool_use" if said.tool else "end_turn"


class Responses:
    """OpenAI's `/v1/responses`."""

    def offered(self, body: JSON) -> list[str]:
        """Functions by name, those of a namespace or found by a search with it before them; other tools by type."""
        found = [item for item in body["input"] if item["type"] == "tool_search_output"]
        return self._names([*body.get("tools", ()), *(tool for item in found for tool in item["tools"])])

    def _names(self, tools: list[JSON]) -> list[str]:
        names = []
        for tool in tools:
            inner = self._names(tool["tools"]) if tool["type"] == "namespace" else []
            names += [f"{tool['name']}.{name}" for name in inner] or [str(tool.get("name", tool["type"]))]
        return names

    def results(self, body: JSON) -> dict[str, str]:
        """Items beside the messages."""
        items = [item for item in body["input"] if item["type"] in {"function_call_output", "tool_search_output"}]
        return {item["call_id"]: texts(item.get("output", item.get("tools"))) for item in items}

    def whole(self, said: Said) -> JSON:
        """A response with one item."""
        return {**self._response("completed"), "output": [self._item(said)]}

    def events(self, said: Said) -> Iterator[JSON]:
        """The item, begun and done."""
        yield {"type": "response.created", "response": self._response("in_progress")}
        yield {"type": "response.output_item.added", "output_index": 0, "item": self._item(said)}
        yield {"type": "response.output_item.done", "output_index": 0, "item": self._item(said)}
        yield {"type": "response.completed", "response": self.whole(said)}

    def _item(self, said: Said) -> JSON:
        if said.tool == "tool_search":
            call = {"call_id": said.id, "execution": "client", "arguments": said.arguments}
            return {"type": "tool_search_call", "id": f"ts_{said.id}", "status": "completed", **call}
        if said.tool:
            namespace, _, name = said.tool.rpartition(".")
            call = {"call_id": said.id, "name": name, "arguments": json.dumps(said.arguments)}
            within = {"namespace": namespace} if namespace else {}
            return {"type": "function_call", "id": f"fc_{said.id}", "status": "completed", **call, **within}
        text = {"type": "output_text", "text": said.text, "annotations": []}
        return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}

    def _response(self, status: str) -> JSON:
        used = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        head = {"id": "resp_1", "object": "response", "model": "scripted", "status": status}
        return {**head, "output": [], "usage": {**used, **details}}


class Chat:
    """OpenAI's older `/v1/chat/completions`, which most others speak."""

    def offered(self, body: JSON) -> list[str]:
        """Functions by name."""
        return [tool["function"]["name"] for tool in body.get("tools", ()) if "function" in tool]

    def results(self, body: JSON) -> dict[str, str]:
        """Messages of tools."""
        return {m["tool_call_id"]: texts(m["content"]) for m in body["messages"] if m["role"] == "tool"}

    def whole(self, said: Said) -> JSON:
        """A completion with one choice."""
        choice = {"index": 0, "message": self._message(said), "finish_reason": self._why(said)}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def events(self, said: Said) -> Iterator[JSON | str]:
        """The message, why it ends, what it took, and a word that is no JSON."""
        head = self._head("chat.completion.chunk")
        yield {**head, "choices": [{"index": 0, "delta": self._message(said), "finish_reason": None}]}
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": self._why(said)}]}
        yield {**head, "choices": [], "usage": self._usage()}
        yield "[DONE]"

    def _message(self, said: Said) -> JSON:
        if not said.tool:
            return {"role": "assistant", "content": said.text}
        function = {"name": said.tool, "arguments": json.dumps(said.arguments)}
        call = {"index": 0, "id": said.id, "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def _head(self, kind: str) -> JSON:
        return {"id": "chat_1", "object": kind, "created": 0, "model": "scripted"}

    def _usage(self) -> JSON:
        return {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}

    def _why(self, said: Said) -> str:
        return "tool_calls" if said.tool else "stop"


class Contents:
    """Google's `generateContent`."""

    def offered(self, body: JSON) -> list[str]:
        """Functions by name."""
        return [each["name"] for tool in body.get("tools", ()) for each in tool.get("functionDeclarations", ())]

    def results(self, body: JSON) -> dict[str, str]:
        """Parts of the user's contents."""
        parts = [part for content in body["contents"] for part in content["parts"]]
        found = [part["functionResponse"] for part in parts if "functionResponse" in part]
        return {each["id"]: texts(each["response"]) for each in found}

    def whole(self, said: Said) -> JSON:
        """A candidate with one part."""
        part: JSON = {"text": said.text}
        if said.tool:
            part = {"functionCall": {"id": said.id, "name": said.tool, "args": said.arguments}}
        candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"}

    def events(self, said: Said) -> Iterator[JSON]:
        """All of it at once."""
        yield self.whole(said)
