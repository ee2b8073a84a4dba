"""A text without the polite words around what it says.

"Sure! I'd go with Paris. Let me know if you need more." says "Paris". Openings and closings are
whole sentences, or phrases at a sentence's start; what stands between is left as it is.
"""

import re

from darling_models.embedded.strings.sentences import ENDED, OPENERS

MAX_STRIPPED = 6
"""Openings, and closings, that are taken off one text."""
OPENING = re.compile(
    r"""[\s*_#>"'“”\-•]{0,9}(?:
    (?:(?:what\ an?\ |that'?s\ an?\ )?
         (?:great|good|excellent|interesting|fun|tough|tricky|nice)
         \ (?:question|one|choice|prompt|idea)[^.!?\n:]{0,60}|
       (?:well|ah|oh|so|hey|hi|hello|great|good|excellent|sure)(?!\ (?-i:[A-Z][a-z]))|
       hmm+|ok(?:ay)?|alright|h(?:i|ello)\ there|honestly|
       personally|sure\ thing|of\ course|certainly|absolutely|definitely|gladly|
       no\ problem|happy\ to\ help|i'?d\ be\ (?:happy|glad)\ to[^.!?\n:]{0,60}|
       thanks?(?:\ you)?(?:\ for\ (?:asking|your\ question|reaching\ out))?|you\ got\ it|
       my\ pleasure|let\ me\ (?:think|see|help)[^.!?\n:]{0,60}|
       (?:here\ is|here'?s|here\ you\ go|below\ is|here\ are)[^.!?\n:]{0,80}(?=[:\n])|
       in\ short|short\ answer|long\ story\ short|to\ answer\ your\ question|
       in\ (?:my\ )?(?:humble\ )?opinion|if\ i\ had\ to\ (?:choose|pick)(?:\ (?:one|just\ one))?|
       for\ (?:me|what\ it'?s\ worth)|after\ (?:some|careful)\ (?:thought|consideration)|
       as\ an\ ai[^.!?\n:,]{0,60}|¡?claro(?:\ que\ sí)?|¡?por\ supuesto|¡?con\ gusto|
       (?:sehr\ )?gern(?:e)?|natürlich|selbstverständlich|bien\ sûr|avec\ plaisir|volontiers|
       certo|claro\ que\ sim|当然(?:可以)?|好的|没问题)
    (?=[\s!,.:;*，。！：—–]|-(?!\w)|\Z)[\s!,.:;\-*，。！：—–]{0,9}
  )""",
    re.IGNORECASE | re.VERBOSE,
)
FRAME = re.compile(
    r"""[\s*_#>"'“”\-•|]{0,9}(?:
    (?:the\ |my\ |our\ )?(?:final\ |correct\ |short\ |best\ |right\ )?
      (?:answer|pick|choice|guess|vote|suggestion|recommendation|favou?rite|result|solution|response)
      (?:\ (?:to|for|here|of)[^.!?\n:]{0,40}?)?\ ?(?:is|would\ be|would\ have\ to\ be|will\ be|:|=)
        (?:\ (?:definitely|probably|simply|clearly))?|
    i(?:'d|\ would|'ll|\ will|'m|\ am|\ can)?\ (?:have\ to\ )?(?:say|go\ with|pick|choose|suggest|
      recommend|propose|think(?:\ it(?:'s|\ is))?|vote\ for|opt\ for|select|call\ (?:it|her|him)|
      go\ for|guess|pick\ out|going\ (?:with|for)|cast\ my\ vote\ for|answer)\b|
    (?:let's|let\ us)\ (?:go\ with|say|pick|choose)|how\ about|what\ about|why\ not|maybe|perhaps|
    (?:you\ (?:could|should|might|can)|try|consider|go\ with|go\ for|pick|choose|call\ it)\b|
    (?:it|that|this|they)(?:'s|\ is|\ was|\ would\ be|\ must\ be|'d\ be|\ are|\ were)|
    (?:that\ would\ be|it\ would\ be)|(?:final\ )?answer\ ?[:=|]|a\ ?:|
    (?:la|mi|mein[e]?|die|ma|il?|o|a\ minha|我的)?\ ?
      (?:respuesta|elección|antwort|wahl|réponse|choix|risposta|resposta|答案)(?:\ (?:es|sería|ist|
      lautet|wäre|est|serait|è|é)|[:=|]|是|：)|
    (?:yo\ )?(?:diría(?:\ que)?|elegiría|elijo)|
    ich\ (?:würde\ (?:sagen|mich\ für)|sage|nehme|wähle)|
    je\ (?:dirais|choisis|choisirais|pense\ à)|我(?:会)?(?:选择?|推荐|说)|
    es|c'est|das\ (?:ist|wäre)|ce\ serait|sería|è|ist
  )(?:[\s:,*_"“|：]{1,12}(?:[-|]{3,9}[\s|]{1,4})?|(?<=[是选择荐说]))""",
    re.IGNORECASE | re.VERBOSE,
)
"""Words before an answer at the start of a sentence, which say nothing about which it is."""
CLOSING = re.compile(
    r"""(?:¡?\b(?:let\ me\ know|hope\ (?:this|that|it)|i\ hope|feel\ free|happy\ to|
      if\ you(?:'d|\ would|'re)?\ (?:have|want|need|like|are)|would\ you\ like|do\ you\ want|
      want\ me\ to|shall\ i|anything\ else|good\ luck|enjoy|
      have\ (?:a\ )?(?:fun|great|nice|good)|just\ (?:say|ask|let)|is\ there\ anything|
      thanks|cheers|best\ of\ luck|you're\ welcome|don't\ hesitate|glad\ to|i'?m\ (?:here|happy)|
      does\ that\ help|i\ can\ also|there\ you\ (?:go|have\ it)|no\ doubt|that'?s\ (?:it|all|my)|
      final\ answer|hands\ down|any\ (?:other\ )?questions|what\ do\ you\ think|what\ about\ you|
      and\ that'?s|espero|ojalá|que\ (?:tengas|tenga|disfrutes)|(?:un\ )?saludos?|no\ dudes|
      si\ (?:necesitas|quieres|tienes|vous|tu)|(?:ich\ )?hoffe|hoffentlich|viele\ grüße|
      (?:ich\ )?wünsche|meld(?:e|en)|wenn\ (?:du|sie)|falls|viel\ (?:spaß|erfolg)|schönen|
      j'espère|n'hésite[sz]?|bonne|belle|cordialement|dites?-moi|qué\ (?:opinas|te\ parece))\b|
      ¿(?:necesitas|quieres|algo)|希望|如果|祝|还有|随时|请|谢谢)""",
    re.IGNORECASE | re.VERBOSE,
)
LAST_SENTENCE = re.compile(
    r"(?<=[.!?\n。！？])[\s\"'”*_)\U0001f300-\U0001faff]{0,9}"
    r"(?=[^\s.!?\n。！？][^.!?\n。！？]*[.!?\s。！？]*\Z)"
)
SENTENCE_END = re.compile(rf"[.!?]{ENDED}(?=[\s*_\"'”)]|\Z)|[\n。！？]|:(?=\s*\n)")
ENUMERATED = re.compile(rf"\A1[.)]\s(?!\s*(?:{OPENERS})\b)")
"""The number of a list's first item, before what it says."""
TAIL_CHARS = 300
"""Characters at the end of a text in which its closing sentence is sought."""
REASON = re.compile(
    r",?\s(?:because|since|as\ it|as\ they|which|so\ that|for\ its)\b|\s[—–]\s|;|\s\("
)
"""Where an answer ends and its reason begins."""
REFUSAL = re.compile(
    r"\b(?:i(?:'m| am)? (?:really |very |so )?sorry|i (?:can't|cannot|can not|am unable|won't)\b|"
    r"i(?:'m| am) (?:not able|unable)|as an ai|i don't have (?:personal|access|enough)|"
    r"unable to (?:help|assist|answer|provide)|lo siento|je suis désolé|es tut mir leid|"
    r"i don't know|not sure)",
    re.IGNORECASE,
)
REFUSAL_CHARS = 200
"""Characters at the start of a text in which a refusal is sought."""


def core(text: str) -> str:
    """`text` without polite openings and closings; unchanged if nothing else would be left."""
    start = 0
    for _ in range(MAX_STRIPPED):
        opening = OPENING.match(text, start)
        if opening is None or opening.end() == start or not text[opening.end() :].strip():
            break
        start = opening.end()
    kept = text[start:].rstrip()
    for _ in range(MAX_STRIPPED):
        tail = max(0, len(kept) - TAIL_CHARS)
        last = LAST_SENTENCE.search(kept, tail)
        if last is None or not CLOSING.match(kept, last.end()) or not kept[: last.start()].strip():
            break
        kept = kept[: last.start()].rstrip()
    return kept.strip() or text.strip()


def lead(core: str) -> str:
    """What the first sentence of a core says, without the words that frame an answer and without
    its reason."""
    first = ENUMERATED.sub("", core)
    for _ in range(3):
        frame = FRAME.match(first)
        if frame is None or not first[frame.end() :].strip():
            break
        first = first[frame.end() :]
    end = SENTENCE_END.search(first, 1)
    first = first if end is None else first[: end.start()]
    reason = REASON.search(first, 1)
    first = first if reason is None else first[: reason.start()]
    return first.strip(" \t\n*_\"'“”`.,!:#>|，：")


def refuses(text: str) -> bool:
    """Whether a text begins with a refusal or an excuse."""
    return REFUSAL.search(text[:REFUSAL_CHARS]) is not None
