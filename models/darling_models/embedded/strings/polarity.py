"""Which way a text points: yes or no, more or less, allowed or not, and what it denies.

Each axis has words for its two ends. A negation shortly before a word turns it round.
"""

import re

ENDS = (
    (
        "yes yep yeah absolutely definitely certainly affirmative sí sì oui ja sim 👍 ✅ ✔",
        "no nope nah nein não 👎 ❌ 🚫",
    ),
    ("true correct right valid", "false incorrect wrong invalid untrue myth"),
    (
        "increase increases increased increasing rise rises rose rising grow grows grew growing "
        "more higher greater larger bigger up gain gains raises raise longer",
        "decrease decreases decreased decreasing fall falls fell falling shrink shrinks less lower "
        "smaller fewer down drop drops dropped loses reduces reduce shorter",
    ),
    ("faster quicker sooner earlier early fast", "slower later late slow"),
    (
        "can may allowed legal permitted possible safe lets able ok okay fine",
        "cannot prohibited illegal forbidden impossible unsafe dangerous unable banned",
    ),
    (
        "should recommend must worth advisable always",
        "avoid never skip stop",
    ),
    ("before first precedes", "after last afterwards following"),
    (
        "pass passed passes succeed succeeded succeeds success met win won wins approved accepted "
        "good positive reached profitable love like happy",
        "fail failed fails failure missed lose lost loses rejected denied bad unreached hate "
        "dislike unhappy",
    ),
    ("with include includes including contains have has", "without exclude excludes lacks lacking"),
    ("all every everyone everything both", "none nobody nothing neither"),
    ("even", "odd"),
    ("hot warm hotter warmer", "cold cool colder cooler"),
    ("left", "right"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("buy", "sell"),
    ("open opens opened", "close closes closed shut"),
    ("maximum max highest largest most best biggest", "minimum min lowest smallest least worst"),
    ("ascending asc", "descending desc reverse reversed"),
    ("convergent converges converge", "divergent diverges diverge"),
    ("rational", "irrational"),
    ("start begin begins starts beginning", "end ends finish finishes"),
    ("in inside within", "out outside beyond"),
    ("heads", "tails"),
    ("same equal equals identical", "different unequal differs differ"),
    ("near close closer", "far distant farther"),
    ("prime", "composite"),
    ("light lighter", "heavy heavier dark"),
)
AXES = len(ENDS)
SIDES = {
    word: (axis, side)
    for axis, (ahead, behind) in enumerate(ENDS)
    for side, words in ((1, ahead), (-1, behind))
    for word in words.split()
}
"""The axis of a word and its end. A word of several axes counts on the last."""
DENIALS = (
    "not no never neither nor cannot without hardly can't isn't aren't wasn't weren't don't "
    "doesn't didn't won't wouldn't shouldn't couldn't hasn't haven't hadn't ain't cant dont "
    "doesnt isnt"
)
NEGATIONS = frozenset(DENIALS.split())
REACH = 4
"""Words after a negation that it may deny."""
PIECE = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|[.!?;:,\n👍✅✔👎❌🚫]")
STOPS = frozenset(".!?;:,\n")


def pointing(text: str) -> tuple[list[int], set[str]]:
    """Where a lower-case text points on each axis (-1, 0 or 1 by its sum), and the words that
    stand shortly behind a negation."""
    sums = [0] * AXES
    denied: set[str] = set()
    reach = 0
    before = (-1, 0)
    for piece in PIECE.findall(text):
        if piece in STOPS:
            reach, before = 0, (-1, 0)
            continue
        word = piece.replace("’", "'")
        if word == "not" and before[0] >= 0:
            sums[before[0]] -= 2 * before[1]  # "should not"
        axis, side = SIDES.get(word, (-1, 0))
        if word.endswith("n't"):
            axis, side = SIDES.get("can" if word == "can't" else word[:-3], (-1, 0))
            side = -side
        before = (axis, -side if reach else side)
        if axis >= 0:
            sums[axis] += before[1]
        if reach:
            denied.add(word)
            reach -= 1
        if word in NEGATIONS:
            reach = REACH
    return [(total > 0) - (total < 0) for total in sums], denied
