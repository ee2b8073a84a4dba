"""Words of politeness and of framing, which carry no answer in whatever phrase they stand.

Phrases that wrap an answer are endless ("put me down for X", "X gets my vote, ping me anytime");
the words that they are made of are few. What is left without them is what a text says, unless
nothing is.
"""

GRAMMAR = (
    "a about above after again all also am an and any are aren as at be because been before "
    "being below between both but by can could d did didn do does doesn don done down during "
    "each few for from get go got had has have he her here here's him his how i i'd i'll i'm "
    "i've if in into is isn it it's its just let let's ll m may me might mine more most must "
    "my no nor not of off on once only or other our out over own re s same she should so some "
    "such t than that that's the their them then there there's these they this those through "
    "to too under up us ve very was wasn we were weren what what's when where which while who "
    "whom whose why will with would you you're your yours"
)
POLITENESS = (
    "absolutely additional advance advice afternoon agree ah alright always answer answers "
    "antwort anything anytime appreciate aquí ask asked asking asks assist assistance "
    "assistant available aware away back basically believe best better bien bit bottom brief "
    "briefly brighten call calls cast certainly certo cheers choice choices choose choosing "
    "chosen clarification claro classic clear clearly closing come comes conclusion confident "
    "consider considered considering contact correct could course curious day deal decide "
    "decided decision definite definitely detail details disposal does doubt doubts down "
    "easily easy elaborate else end enjoy enough entirely espero evening eventually everyone "
    "exactly excellent explain explanation fair favorite favourite feel final finally find "
    "fine first follow following forward frankly free friend friendly fun further gerne gets "
    "give given gives giving glad gladly goes going gonna good great guess guessing hand "
    "hands happy hear hello help helped helpful helping helps hesitate hey hi hier hmm honest "
    "honestly honoured hope hopefully hoping humble idea ideal indeed info information "
    "inquiry instead interesting issue keep kind kindly know lean leave lemme lets like "
    "little long look looking lot lovely luck made make makes making many matter maybe mean "
    "mention message mind moment morning natürlich need needed needs never nice nominate "
    "obvious obviously of offer oh ok okay one opinion opt option ought overall particular "
    "perhaps personal personally pick picked picking picks ping please pleased pleasure point "
    "pop possibly prefer preference probably problem prompt propose put puts queries query "
    "question questions quick quickly quite rather reach read ready real really reason reckon "
    "recommend recommendation recommended regards remain reply request require respond "
    "response respuesta rest result right réponse said say saying says see select selected "
    "selection send sense settle share short shortly shot should shout simple simply "
    "sincerely situation solid solution soon sorry sound sounds specific stand start stay "
    "still stop story straight strong suggest suggested suggestion suits summary super "
    "support suppose supuesto sure surely sûr take taken takes talk task tell terms terrific "
    "thank thanks that them thing things think thinking thought thoughtful thoughts time "
    "today told top topic totally tough tricky true truly trust try turn understand use "
    "useful user verdict voici vote votes wait want wanted wants way welcome well whatever "
    "whenever whew whichever whole wish wishing without wonder wonderful wondering worry "
    "worth wow write writing yeah yep yes yours"
)
STOPWORDS = frozenset(GRAMMAR.split())
CHAT = frozenset(POLITENESS.split())


def carrying(words: list[str]) -> list[str]:
    """The words that are neither grammar nor politeness; without any, those that are no grammar."""
    content = [word for word in words if word not in STOPWORDS]
    return [word for word in content if word not in CHAT] or content
