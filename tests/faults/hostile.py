"""Texts of odd shapes, of any length: what a policy that has gone astray writes, or an attacker."""

from tests.texts import OPENINGS, REASONS

PLAIN = " ".join((*OPENINGS, *REASONS)) + " "
"""The text that all others are compared with."""

UNITS: dict[str, str] = {
    "dots": ".",
    "dots and spaces": ". ",
    "brackets": "([{",
    "spaces": " ",
    "tabs": "\t",
    "one word": "x",
    "digits": "1",
    "numbers": "1.",
    "apostrophes": "a'",
    "newlines": "\n",
    "carriage returns": "\r",
    "Windows newlines": "\r\n",
    "vertical tabs": "\v",
    "form feeds": "\f",
    "next lines": "\x85",
    "line separators": "\u2028",
    "newlines and spaces": " \n",
    "newlines and tabs": "\t\n",
    "newlines of every kind": "\n\r\v\f\x85\u2028\u2029\x1c",
    "lines of a word": "a\n",
    "lines of three words": "a b c\n",
    "straight quotes": '"',
    "single quotes": "'",
    "left quotes": "\u201c",
    "right quotes": "\u201d",
    "quotes of every kind": "\u201c\"'\u2019\u201e\u00ab",
    "quotes left open": "so \u201c",
    "bullets": "- ",
    "lines of bullets": "- \n",
    "numbered lines": "1. \n",
    "hashes": "#",
    "headings": "# \n",
    "bold headings": "**a**:\n",
    "dollars": "$",
    "formulas": "$x$ ",
    "backslashes": "\\",
    "boxes": "\\boxed{",
    "backticks": "```",
    "star": "*",
    "bold": "**a** ",
    "bold left open": "so **",
    "underscores": "_",
    "questions": "? ",
    "sentence ends and quotes": '."',
    "full stops of Chinese": "\u3002",
    "special tokens of BERT": "[SEP]",
    "special tokens of Llama": "<s>",
    "special tokens of Qwen": "<|im_end|>",
    "special tokens left open": "<|",
    "thoughts": "<think>",
    "ends of thoughts": "</think>",
    "answers": "answer is: ",
    "headers of turns": "<|im_start|>user\n",
    "headers of gpt-oss": "<|channel|>analysis<|message|>",
    "instructions": "[INST]",
    "tool calls": "<tool_call>{}</tool_call>",
    "tool calls left open": "<tool_call>",
    "zero-width spaces": "\u200b",
    "zero-width joiners": "\u200d",
    "byte order marks": "\ufeff",
    "control characters": "\x00\x07\x1b",
    "combining marks": "\u0301",
    "combining marks out of order": "\u0301\u0316",
    "ligature of a sentence": "\ufdfa",
    "final sigmas": "\u03a3'",
    "emoji": "\U0001f419",
    "joined emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "flags": "\U0001f1f5\U0001f1f9",
    "Chinese": "\u4f60\u597d\u4e16\u754c",
    "Korean": "\ud55c\uad6d\uc5b4 ",
    "Thai": "\u0e20\u0e32\u0e29\u0e32",
    "Arabic": "\u0645\u0631\u062d\u0628\u0627 ",
    "right to left": "\u202e",
    "mixed": 'a "b" **c**\n- d. \u201ce\u201d $f$ \\g `h` [i](j)\n\n# k\t\u4f60\u3002 ',
}
"""What each shape repeats."""

ONCE = ("newlines", "newlines and spaces", "newlines and tabs", "Windows newlines", "spaces")
"""Shapes that stand between two words too: white space at an end is stripped by some functions."""

SHAPES = ("plain words", *UNITS, *(f"{shape} between words" for shape in ONCE))


def text_of(shape: str, characters: int) -> str:
    """A text of this many characters."""
    name = shape.removesuffix(" between words")
    unit = PLAIN if shape == "plain words" else UNITS[name]
    text = (unit * (characters // len(unit) + 1))[:characters]
    return text if name == shape else f"a{text[2:]}b"
