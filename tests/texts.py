"""Plain English to build rollouts from: six answers to one question, of any length."""

OPENINGS = (
    "Turn the station into a library with a reading room on the old platform.",
    "The building should become a market hall where farmers sell what they grow.",
    "Restore the railway: a train to the city twice an hour would change the town.",
    "Let young people have it, as a place for music, sport and repair workshops.",
    "Sell it, and spend the money on the school roof that has leaked for years.",
    "Leave it as it is and let the swifts nest under the eaves in peace.",
)
REASONS = (
    "It would cost little and could open within a year.",
    "People who never meet would have a reason to share a table.",
    "The council has asked for ideas and this one needs no new road.",
    "Visitors would come by bicycle along the disused line.",
    "A trust of 12 citizens could run it, with a budget of 40,000 a year.",
    "Of course some will object, and their worry about noise is fair.",
    "In winter the thick walls keep the heat, which saves money.",
    "Other towns of 5,000 people have done the same and did not regret it.",
)


def essay(answer: int, words: int) -> str:
    """About `words` words giving answer number `answer`; the first sentence decides it."""
    sentences = [OPENINGS[answer % len(OPENINGS)]]
    turn = answer
    while sum(len(sentence.split()) for sentence in sentences) < words:
        sentences.append(REASONS[turn % len(REASONS)])
        turn += 1 + answer % 3
    return " ".join(" ".join(sentences).split()[: max(words, 1)])
