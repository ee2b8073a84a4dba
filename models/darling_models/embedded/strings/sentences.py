"""Where sentences end: not behind an initial or a title, as in "J. R. R. Tolkien", "St. Louis"."""

ABBREVIATIONS = (
    r"(?<!\b[A-Z]\.)(?<!\.[A-Za-z]\.)"
    r"(?<!\b(?:St|Mr|Dr|Ms|Mt|Ft|vs|Jr|Sr)\.)"
    r"(?<!\b(?:Mrs|Gen|Sgt|Col|Sen|Rep|Gov|Rev|Hon)\.)(?<!\b(?:Prof|Capt)\.)"
)
OPENERS = (
    "It|It's|Its|The|This|That|That's|These|Those|There|He|She|We|They|You|I|I'd|I'm|My|If|As|"
    "Because|Since|And|But|So|In|For|When|Which|Let|Hope|Here|Thanks|Thank"
)
"""Words that begin a sentence, and no name."""
ENDED = rf"(?:{ABBREVIATIONS}|(?=\s+(?:{OPENERS})\b)|(?=\s*(?:\n|\Z)))"
"""A condition on the place right behind a mark, in a pattern that tells upper case from lower: a
sentence ends there. Only full stops may fail it."""
