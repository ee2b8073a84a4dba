"""A group in the terminal: its rollouts by class, each class with a colour of its own."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from darling_service.looking.group import ShownGroup

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
"""Okabe and Ito's colours, which people with any kind of colour vision tell apart. Larger classes
come first; the classes beyond, and those of one rollout, have their number alone."""
DARK = frozenset({"#0072b2"})
"""Colours on which white is easier to read than black."""
MAX_SHOWN = 240
"""Characters of a rollout that are shown unless all of it is asked for: some five lines of a usual
terminal, enough to tell what an answer is."""
MAX_PROMPT = 600
"""Characters of a prompt that are shown, likewise."""
PICTURES = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"},
    **dict.fromkeys(range(127, 160), 0xFFFD),
}
"""What stands for control characters, which could write anywhere on the terminal."""


def show(console: Console, group: ShownGroup, *, full: bool = False) -> None:
    """Prints a group. `full`: whether texts are shown to their ends, with their line breaks."""
    classes = group.sizes
    rollouts = _count(len(group.rollouts), "rollout", "s")
    counted = f"{rollouts} in {_count(len(classes), 'class', 'es')}"
    reasoned = f", reasoning left out of {group.reasoned}" if group.reasoned else ""
    title = Text(_printable(group.name, MAX_SHOWN), style="bold")
    console.print(title.append(f": {counted}, mean diversity {group.diversity:.2f}{reasoned}"))
    console.print(Text(_printable(group.prompt, None if full else MAX_PROMPT)))
    console.print(_table(group, full))
    if group.threshold is not None and group.closest_call is not None:
        first, second, probability = group.closest_call
        decided = "equivalent" if probability > group.threshold else "different"
        console.print(
            f"nearest the threshold {group.threshold:.2f}: [{first}] and [{second}], "
            f"P(equivalent) {probability:.2f}, {decided}",
            style="dim",
            markup=False,
            highlight=False,
        )
    console.print()


def _table(group: ShownGroup, full: bool) -> Table:
    styles = _styles(group.sizes)
    rank = {number: place for place, number in enumerate(styles)}
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("class", justify="right")
    table.add_column("diversity", justify="right")
    known = [name for name in ("quality", "reward") if _knows(group, name)]
    for name in known:
        table.add_column(name, justify="right")
    table.add_column("rollout", ratio=1, overflow="fold")
    ordered = sorted(enumerate(group.rollouts), key=lambda row: rank[row[1].number])
    for place, rollout in ordered:
        table.add_row(
            Text(f" {rollout.number} ", style=styles[rollout.number]),
            f"{rollout.diversity:.2f}",
            *(_figure(getattr(rollout, name)) for name in known),
            Text(f"[{place}] {_printable(rollout.text, None if full else MAX_SHOWN)}"),
        )
    return table


def _styles(sizes: dict[int, int]) -> dict[int, str]:
    """The style of each class's number, largest class first."""
    styles = dict.fromkeys(sizes, "")
    shared = [number for number, size in sizes.items() if size > 1]
    for number, colour in zip(shared, COLOURS, strict=False):
        styles[number] = f"{'white' if colour in DARK else 'black'} on {colour}"
    return styles


def _knows(group: ShownGroup, name: str) -> bool:
    return any(getattr(rollout, name) is not None for rollout in group.rollouts)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _count(number: int, noun: str, plural: str) -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _printable(text: str, limit: int | None) -> str:
    """The text without control characters; up to `limit` characters, on one line, if it is given"""
    if limit is not None:
        text = " ".join(text.split())
        text = text if len(text) <= limit else f"{text[:limit].rstrip()}…"
    return text.translate(PICTURES)
