"""Texts without the special tokens that a tokenizer writes around them, in linear time."""

import re

ANYWHERE = re.compile(r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>")
"""Special tokens that are removed everywhere, such as <|im_end|>: nobody writes them by hand."""
AT_THE_ENDS = (
    *("<s>", "</s>", "<pad>", "<unk>", "<bos>", "<eos>", "<cls>", "<sep>", "<mask>"),
    *("[PAD]", "[UNK]", "[BOS]", "[EOS]", "[CLS]", "[SEP]"),
    *("<start_of_turn>", "<end_of_turn>", "<end_of_utterance>"),  # Gemma, SmolVLM
    *("[INST]", "[/INST]", "[/SYSTEM_PROMPT]", "[/AVAILABLE_TOOLS]"),  # Llama 2, Mistral
    *("[gMASK]", "<sop>", "<eop>"),  # GLM
    *("<extra_id_0>", "<extra_id_1>", "[|endofturn|]", "<seed:bos>", "<seed:eos>"),
)
"""Special tokens that are removed only at the ends of a text: inside they may belong to it, as
HTML's <s> does."""
LEADING = re.compile(rf"(?:\s|{ANYWHERE.pattern}|{'|'.join(map(re.escape, AT_THE_ENDS))})*+")
TRAILING = re.compile(
    r"(?:\s|>\|[^|<>\s]{1,40}\|<|>｜[^｜<>\s]{1,40}｜<|"
    rf"{'|'.join(re.escape(token[::-1]) for token in AT_THE_ENDS)})*+"
)
"""White space and tokens at the end of a text, as they begin the reversed text: a search for them
in the text itself would start at every space."""

INVISIBLE = (
    r"[\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    r"\U000e0000-\U000e0fff]"
)
"""White space of every kind, and characters that show nothing, such as zero-width spaces."""
BLANK = re.compile(
    rf"(?:{INVISIBLE}+|{ANYWHERE.pattern}|{'|'.join(map(re.escape, AT_THE_ENDS))})*+"
)


def without_special_tokens(text: str) -> str:
    """Returns `text` without special tokens, and without white space and tokens around it."""
    if "<" not in text and "[" not in text:
        return text.strip()
    return trimmed(ANYWHERE.sub("", text))


def trimmed(text: str) -> str:
    """Returns `text` without the special tokens and the white space around it."""
    start, end = end_of(LEADING, text), len(text) - end_of(TRAILING, text[::-1])
    return text[start:end] if start < end else ""


def is_blank(text: str) -> bool:
    """Whether `text` shows nothing: it is empty, or white space, invisible characters and special
    tokens alone."""
    return BLANK.fullmatch(text) is not None


def end_of(pattern: re.Pattern[str], text: str) -> int:
    """Where `pattern`, which matches the empty text too, ends at the beginning of `text`."""
    match = pattern.match(text)
    assert match is not None, "the pattern matches the empty text"
    return match.end()
