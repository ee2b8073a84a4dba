"""Words of politeness and of framing, which carry no answer in whatever phrase they stand.

Phrases that wrap an answer are endless ("put me down for X", "X gets my vote, ping me anytime");
the words that they are made of are few. What is left without them is what a text says, unless
nothing is.
"""

import re

from darling_models.embedded.strings.words import plain

GRAMMAR = (
    "a about above after again all also am an and any are aren't as at be because been before "
    "being below between both but by can can't could couldn't did didn't do does doesn't doing "
    "don't done down during each eg few for from get go got had hadn't has hasn't have haven't he "
    "her here here's him his how i i'd i'll i'm i've ie if in into is isn't it it'll it's its just "
    "let let's may me might mine more most must my n't no nor not of off on once only or other our "
    "out over own same she should shouldn't so some such than that that'd that'll that's the their "
    "them then there there's these they they're this those through to too under up us very was "
    "wasn't we we'll we're we've were weren't what what's when where which while who whom whose "
    "why will with won't would wouldn't you you'd you'll you're you've your yours"
)
POLITENESS = (
    "absolutely additional advance advice afternoon agree ah alright always answer answers "
    "anything anytime appreciate ask asked asking asks assist assistance "
    "assistant available aware away back basically believe best better bit bottom brief "
    "briefly brighten call calls cast certainly cheers choice choices choose choosing "
    "chosen clarification classic clear clearly closing come comes conclusion confident "
    "consider considered considering contact correct could course curious day deal decide "
    "decided decision definite definitely detail details disposal does doubt doubts down "
    "easily easy elaborate else end enjoy enough entirely evening eventually everyone "
    "exactly excellent explain explanation fair favorite favourite feel final finally find "
    "fine first follow following forward frankly free friend friendly fun further gets "
    "give given gives giving glad gladly goes going gonna good great guess guessing hand "
    "hands happy hear hello help helped helpful helping helps hesitate hey hi hmm honest "
    "honestly honoured hope hopefully hoping humble idea ideal indeed info information "
    "inquiry instead interesting issue keep kind kindly know lean leave lemme lets like "
    "little long look looking lot lovely luck made make makes making many matter maybe mean "
    "mention message mind moment morning need needed needs never nice nominate "
    "obvious obviously offer oh ok okay one opinion opt option ought overall particular "
    "perhaps personal personally pick picked picking picks ping please pleased pleasure point "
    "pop possibly prefer preference probably problem prompt propose put puts queries query "
    "question questions quick quickly quite rather reach read ready real really reason reckon "
    "recommend recommendation recommended regards remain reply request require respond "
    "response rest result right said say saying says see select selected "
    "selection send sense settle share short shortly shot should shout simple simply "
    "sincerely situation solid solution soon sorry sound sounds specific stand start stay "
    "still stop story straight strong suggest suggested suggestion suits summary super "
    "support suppose sure surely take taken takes talk task tell terms terrific "
    "thank thanks them thing things think thinking thought thoughtful thoughts time "
    "today told top topic totally tough tricky true truly trust try turn understand use "
    "useful user verdict vote votes wait want wanted wants way welcome well whatever "
    "whenever whew whichever whole wish wishing without wonder wonderful wondering worry "
    "worth wow write writing yeah yep yes bye commit dear differ differently disagree fairly gave "
    "myself nutshell overthinking possibilities reconsider speaking tastes though toward towards "
    "unclear understood"
)
PLEASANTRIES = (
    "antwort aquí avec bedankt bien bitte bonjour certo ciao claro danke encantada encantado "
    "espero gerne gracias grazie grüße hallo hola merci natuurlijk natürlich obrigado olá "
    "plaisir prego respuesta risposta réponse salut saludos selbstverständlich supuesto sûr "
    "voici voilà volontiers"
)
"""Words of other languages that are polite wherever they stand."""
FOREIGN = (
    # Spanish and Portuguese
    "abrazo abraço abraços acho acuerdo adelante adiós agradable agradecer agradezco ajuda "
    "ajudar ajude ajudou algo algum alguma alguna algún amable amiga amigo anterior aquí ayuda "
    "ayudado ayudar ayudarle ayudarte ayude bem bien bienvenido boa bom buen buena buenas bueno "
    "buenos caso certeza cierto claramente claro clásica clásico coisa com como con consulta "
    "contestar contigo creo cualquier cuando cuídate cómo debe debería decir depende desde "
    "después dia dices dicho diga digamos digo diria diría disponível disposición dizer duda "
    "dudar dudarlo dudas dudes déjame día días dímelo dúvida elección elegir elegiría elijo ella "
    "encanta encantada encantado encantaría entonces eres esa escoger escogería escojo escolha "
    "escolho escribirme escríbeme ese eso espero esta este esto estoy eu excelente favor "
    "favorita favorito feliz finalmente fácil genial gracias gustaría gusto haber haberte hace "
    "hacer hasta hay hola honestamente igual interesante isso jornada lista listo lo luego mais "
    "mejor melhor meu mi minha mira momento mucha muchas mucho muito muy más mía mío nada "
    "necesitas noches noite nuevo não obrigada obrigado olá opción opinião opinión otra otro "
    "para parece pensado pensar pensarlo pensei pensé perfecto pergunta perguntar pergunte pero "
    "personalmente piensas pienso poco podría por porque pouco prazer precisar pregunta "
    "preguntar preguntas problema propuesta puede puedes pues qualquer que queda quedaría quedo "
    "quiere quieres recomendaría recomiendo respecto responde responder respondo resposta "
    "respuesta resultado resumen saber saludo saludos seguro según sencillo ser seria seré sería "
    "si siempre sin sincera sinceramente sirva sirve sobre soy suerte sugerencia sugeriría "
    "sugiero supuesto só tal también tarde tardes tener tengas tengo tenha tiene tudo tus um uma "
    "un una usted utilidad vale vamos veamos ver vez você voto vuestra é ótima "
    # German
    "abend aber allem alles also andere anderes angenehmen antwort antworte antworten auch auf "
    "ausgezeichnete auswahl beantworten bei bescheid beste besten bestens bis bitte brauchst "
    "dabei damit danke dann das dass dazu dein deine deiner dem denke denken denkst der dich "
    "diese dieser dieses dir doch du ehrlich ein eindeutig eine einen einer einfach endlich "
    "entscheide entscheidung entschieden er erfolg ergebnis es etwas euch frag frage fragen "
    "fragst freue freut fällt für ganz gedacht geht gern gerne gesagt gibt glaube gruß grüße "
    "grüßen gute guten guter hab habe haben hallo hast helfen heute hier hilfe hilft hinweis "
    "hoffe hoffentlich ich ihnen ihr ihre ihren ihrer immer interessante ist jederzeit kann "
    "kannst kein keine klar klassiker klingt komme kurz kurzem kurzgesagt lass lautet letztlich "
    "liebe lieblings los länger machen mein meine meiner meines meinst meinung melde mich mir "
    "moment morgen mögen nach nachgedacht natürlich nehme nehmen nenne nett noch nur nämlich "
    "oder ohne persönlich raten richtig sagen schlage schließlich schwierig schön schöne schönen "
    "schöner sehen sehr sei sein selbstverständlich sich sicher sie sind so sofern sollte spaß "
    "spontan stehe stelle stimme tippe tippen tja tolle und uns viel viele vielen vielleicht von "
    "vor vorschlag vorschlagen wahl wahrscheinlich weiter weitere weiteren wenn werde wie wir "
    "wirklich wohl wollen wähle wählen wäre wären wünsche würde zu zum zur zurück zweifel "
    "zweifellos zögere überlege überlegen überlegung "
    # French
    "absolument aide aider ailleurs alors après aucun aurais aussi autre autres avant avec avez "
    "avis avoir beaucoup belle bien bientôt bon bonjour bonne bonsoir bravo bref c'est ce cela "
    "certainement cet cette chance choisi choisir choisirais choisis choix choses clair comme "
    "conseil conseille cordialement courage crois d'abord d'accord d'après d'autres dans de "
    "demande demander demandez demandé des dirais dis disposition donc du détails effet eh elle "
    "en encore enfin espère est et excellente facile faire fait faut finalement franchement "
    "heureux hésitation hésite hésiter hésitez ici il ils intéressante j'ai j'aime j'espère "
    "j'opte je jour journée l'aide l'occurrence la laisse laissez le les leur lui me meilleur "
    "meilleure merci moi moi-même même n'hésite n'hésitez ne notre nous nuit on opte opter ou "
    "par passe penche pense penser pensez pensée personnellement peu peut peux plaisir politesse "
    "poser posé pourquoi pourrais pourrait prends problème propose proposer proposition près "
    "préfère préférence qu'en qu'il quand que quel quelle quelque quelques question qui ravi "
    "ravie recommande recommanderais reste retenir retiens réflexion réfléchi réfléchir répondre "
    "réponds réponse réponses résultat résumé s'il salut sans savoir selon serait servir si "
    "simple sincèrement soirée soit solution sont souhaite suggère suggérerais suis sûr sûrement "
    "t'aide tiens toi toujours toute toutes très un une utile vais veut veux voici voilà voir "
    "volontiers vote votre voudrais vous voyons vraiment à ça être "
    # Italian and Dutch
    "aiutare aiuto allora altra altre altro anche antwoord bedankt bella buona buongiorno buono "
    "certamente certo che chiedere ciao consiglio così credo dag dat degli della delle denk "
    "direi domanda dunque een fammi fijne giornata graag grazie groeten het hoop ik jij keuze "
    "kies kiezen met mia mijn mio molto natuurlijk ottima pensato penso per piacere più plezier "
    "prego proporrei proposta questa questo risposta saluti saluto sapere sarebbe scelgo scelta "
    "secondo serve sia sono spero succes suggerisco tutto utile van vediamo veel volentieri "
    "vraag zeggen zou"
)
"""Words of other languages that are grammar or politeness in their own."""
AMBIGUOUS = (
    "al as au bin ci com da dank de del den des di die dire do dont du e el en est et fall final "
    "gut ho il ja la las le les lo los ma mais mal man me mes mit mon na no nun o oui pas plus "
    "po pour qué rest sa se seu si sim son su sua sur sí tag te tes ti tienes todo ton tout tu "
    "un va van y ya yo à è é"
)
"""Such words that are also words of English, names, or answers."""
STOPWORDS = frozenset(GRAMMAR.split())
CHAT = frozenset(plain(f"{POLITENESS} {PLEASANTRIES}").split())
NO_ENGLISH = (
    frozenset(plain(f"{FOREIGN} {PLEASANTRIES}").split()) - STOPWORDS - set(POLITENESS.split())
)
FOREIGN_GRAMMAR = NO_ENGLISH | set(plain(AMBIGUOUS).split())
MIN_FOREIGN = 2
"""Distinct words of `NO_ENGLISH` that a text holds at least before those of `FOREIGN_GRAMMAR` are
left out: one alone may be a name, a word of English, or the answer."""
ACROSS = re.compile(
    "我(?:的|会|觉得|认为|想|个人|建议|推荐|选择?|来|很|希望|就)|答案(?:就?是|为)?|回答|是的|好的|好问题|当然|"
    "(?:很|非常)?(?:高兴|乐意)|(?:能|可以)?帮(?:助|到)?(?:您|你|到)|希望(?:这|能|对|以上)?|(?:对|给)(?:您|你)|"
    "有(?:所)?帮助|如果|还有|其他|任何|问题|请|随时|告诉|联系|提问|谢谢|感谢|您(?:好|的)?|你(?:好|的)?|"
    "让我(?:想想|看看|们)?|以下|如下|下面|就是|应该|可能|大概|或许|一定|毫无疑问|简单来说|简而言之|总之|综上|所述|"
    "(?:我)?(?:会|想|要)?(?:选择?|推荐|建议|说)|祝(?:您|你)?|愉快|顺利|好运|一天|生活|需要|更多|信息|再见|不客气|"
    "最终|结果|结论|因此|所以|那么|嗯|呢|吧|吗|啊|哦|什么|个|解答|样|一切|一下|收到|可以|欢迎|继续|了|的|是|为|这个?|很|非常|有趣|不错"
)
"""Polite and framing words of Chinese, which writes none between spaces."""
HAN = re.compile("[\u4e00-\u9fff]")


def carrying(words: list[str]) -> list[str]:
    """The words that are neither grammar nor politeness; without any, those that are no grammar."""
    content = [word for word in words if word not in STOPWORDS]
    carried = [part for word in content if word not in CHAT for part in _apart(word)]
    if len(NO_ENGLISH.intersection(content)) >= MIN_FOREIGN:
        carried = [word for word in carried if word not in FOREIGN_GRAMMAR] or carried
    return carried or content


def _apart(word: str) -> list[str]:
    """What a run of Chinese says without its polite words, in pieces; another word as it is."""
    if HAN.search(word) is None:
        return [word]
    return ACROSS.sub(" ", word).split()
