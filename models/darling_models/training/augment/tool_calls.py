"""Made-up groups of tool calls: another tool with equal arguments is another answer."""

from typing import Any

import numpy as np

from darling_models.labelled_data import TeacherGroup
from darling_models.texts.tool_calls import call_text
from darling_models.training.augment.phrases import one_of, some_of

GROUPS = 150
TOOLS = (
    *("get_weather", "book_flight", "search_web", "send_email", "create_event", "delete_event"),
    *("list_files", "read_file", "write_file", "run_query", "get_stock_price", "convert_currency"),
    *("translate_text", "play_music", "set_alarm", "cancel_order", "track_package", "add"),
    *("find_restaurant", "reserve_table", "multiply", "lookup_user", "update_user", "fetch_url"),
    *("close_ticket", "open_ticket", "start_timer", "stop_timer", "post_message", "buy_shares"),
)
VALUES: dict[str, tuple[Any, ...]] = {
    "city": ("Paris", "London", "Tokyo", "Berlin", "Lima"),
    "query": ("jazz", "climate", "python lists", "red shoes"),
    "path": ("a.txt", "notes/today.md", "src/main.py"),
    "id": (3, 17, 42, 1001),
    "date": ("2024-05-01", "2024-06-12"),
    "amount": (5, 12.5, 100),
    "to": ("ann@example.org", "bob@example.org"),
    "n": (1, 2, 7),
    "unit": ("celsius", "fahrenheit"),
}
PROMPTS = (
    "What is the weather like?",
    "Plan a trip for me.",
    "Use a tool to do it.",
    "Help me with my files.",
    "What should I do next?",
    "Please take care of it.",
)
SAID = ("", "", "Let me check.\n", "I'll look it up.\n", "Calling the tool.\n")
"""What may stand before a call."""


def tool_calls(random: np.random.Generator) -> list[TeacherGroup]:
    """Groups with one call twice, another tool twice, another argument, and both other."""
    return [_group(random) for _ in range(GROUPS)]


def _group(random: np.random.Generator) -> TeacherGroup:
    names = some_of(tuple(VALUES), one_of((1, 1, 2), random), random)
    arguments = {name: one_of(VALUES[name], random) for name in names}
    changed = [value for value in VALUES[names[0]] if value != arguments[names[0]]]
    others = {**arguments, names[0]: one_of(changed, random)}
    tool, second, third = some_of(TOOLS, 3, random)
    calls = [(tool, arguments), (tool, arguments), (second, arguments), (second, arguments)]
    calls += [(tool, others), (third, others)]
    texts = [one_of(SAID, random) + call_text(name, values) for name, values in calls]
    return TeacherGroup(one_of(PROMPTS, random), tuple(texts), np.asarray([0, 0, 1, 1, 2, 3]))
