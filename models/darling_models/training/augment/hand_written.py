"""Groups written by hand for kinds of answers that are thin in rollouts: code, jokes, polarity."""

from darling_models.labelled_data import TeacherGroup, read_groups
from darling_models.training.augment.phrases import DATA


def hand_written() -> list[TeacherGroup]:
    return read_groups(DATA / "hand_written.jsonl", "all")
