"""Common English words, by part of speech, and pairs of opposites."""

from __future__ import annotations

IRREGULAR_VERBS = """
become begin bend bind bite bleed blow break breed bring build buy catch choose cling come creep deal dig draw drink
drive eat fall feed feel fight find flee fly forbid forget forgive freeze give go grow hang hear hide hold keep
know lay lead leave lend lose make mean meet pay ride ring rise run say see seek sell send shake shine shoot shrink
sing sink sit sleep slide speak spend spin stand steal stick sting strike swear sweep swim swing take teach
tear tell think throw understand wake wear weep win withdraw write
"""

REGULAR_VERBS = """
admit agree answer apply argue arrive ask bake beg believe borrow call carry change chop clap clean climb close
compare complain continue control copy cry dance decide deny describe die divide drag drop earn employ enjoy envy
escape explain fix follow fry grab guess hope hug hurry imagine improve invite jog join jump kiss laugh lie like
listen live look love marry mix move notice occur offer open paint permit plan play prefer promise pull
push reach refer regret relax rely remove repair reply rob rub save search serve share shop skip smile
stop study tie touch travel try type use visit wait walk want wash watch wish worry wrap
"""

IRREGULAR_NOUNS = """
analysis axis basis calf child crisis diagnosis elf foot goose half hypothesis knife leaf life loaf louse man mouse
oasis ox parenthesis person policeman shelf synthesis thesis thief tooth wife wolf woman bacterium
criterion phenomenon stimulus alumnus nucleus datum
"""

REGULAR_NOUNS = """
apple army baby ball banana bank beach bed bench berry bird boat body book bottle box boy branch bridge brush bus
butterfly button camera car cat chair cherry church city class clock cloud coach coat company computer copy
country cow crash cup daisy desk diary dish doctor dog donkey door dress drum duty echo enemy engine eye factory
family farm fax finger flower fly fox friend garden gas girl glass guitar hand hat hero hill horse hospital
house inch island jacket journey judge key kiss kitchen lady lake lamp leg lens library lion lorry lunch match
monkey month mountain mouth nurse ocean orange page park party peach pencil penny piano picture pilot
planet pocket pony poppy potato prize puppy queen radio river road rock room rose school ship shoe sister
sky song spoon spy star stitch story street student table taxi teacher tomato toy tree turkey valley
victory village wall watch whale window wish witch zebra
"""

ADJECTIVES = """
angry bad big bold brave bright busy calm cheap clean clever close cloudy cold cool crazy curly cute damp dark deep
dirty dry dusty early easy fair far fast fat few fine firm flat fresh friendly funny gentle good grand great greedy
green happy hard healthy heavy high hot huge hungry icy juicy kind large late lazy light little lonely long loud
lovely low lucky mad messy mild narrow near neat nice noisy odd old pale plain polite poor pretty proud pure quick
quiet rare rich ripe risky rough rude sad safe salty sharp short shy silly simple sleepy slim slow small smart
smooth soft sore spicy steep sticky strange strict strong sunny sweet tall tasty thick thin thirsty tidy tight tiny
tough ugly warm weak wealthy wet wide wild windy wise young
"""

OPPOSITES = {
    "above": "below under beneath", "absent": "present", "accept": "reject refuse decline",
    "active": "inactive passive",
    "add": "subtract remove", "afraid": "brave unafraid fearless", "alive": "dead", "always": "never",
    "ancient": "modern new recent", "arrive": "depart leave", "asleep": "awake", "attack": "defend defense defence",
    "back": "front forward", "beautiful": "ugly", "before": "after", "begin": "end finish stop", "best": "worst",
    "big": "small little tiny", "birth": "death", "bitter": "sweet", "black": "white", "borrow": "lend",
    "bottom": "top", "boy": "girl", "brave": "cowardly timid fearful afraid coward", "bright": "dark dim dull",
    "broad": "narrow", "build": "destroy demolish", "buy": "sell", "calm": "agitated excited anxious nervous",
    "cheap": "expensive costly", "clean": "dirty", "close": "open far distant", "cold": "hot warm",
    "create": "destroy", "cruel": "kind gentle", "cry": "laugh", "dark": "light bright", "day": "night",
    "deep": "shallow", "defeat": "victory win triumph", "departure": "arrival", "difficult": "easy simple",
    "dirty": "clean", "down": "up", "dry": "wet", "dull": "sharp bright interesting", "early": "late",
    "east": "west", "easy": "difficult hard", "empty": "full", "enemy": "friend ally", "enter": "exit leave",
    "even": "odd uneven", "evening": "morning", "evil": "good", "exit": "entrance enter entry",
    "expand": "contract shrink",
    "export": "import", "exterior": "interior", "fail": "succeed pass", "false": "true", "famous": "unknown obscure",
    "far": "near close", "fast": "slow", "fat": "thin slim skinny", "female": "male", "few": "many",
    "find": "lose", "first": "last", "float": "sink", "foolish": "wise", "forget": "remember", "former": "latter",
    "forward": "backward backwards back", "freeze": "melt thaw boil", "full": "empty", "future": "past",
    "generous": "stingy selfish mean greedy", "gentle": "rough harsh", "give": "take receive", "good": "bad evil",
    "guilty": "innocent", "happy": "sad unhappy", "hard": "soft easy", "hate": "love", "heavy": "light",
    "hero": "villain coward", "hide": "reveal show", "high": "low", "hot": "cold", "huge": "tiny small",
    "import": "export", "include": "exclude", "increase": "decrease reduce", "inside": "outside",
    "interior": "exterior", "join": "separate leave", "junior": "senior", "king": "queen", "large": "small little",
    "last": "first", "late": "early", "laugh": "cry", "lazy": "industrious hardworking energetic active diligent",
    "left": "right", "lend": "borrow", "less": "more", "light": "dark heavy", "little": "big large much",
    "lock": "unlock", "long": "short", "loose": "tight", "lose": "win find", "loud": "quiet soft silent",
    "love": "hate", "low": "high", "male": "female", "many": "few", "maximum": "minimum", "melt": "freeze",
    "minor": "major", "more": "less", "narrow": "wide broad", "natural": "artificial unnatural",
    "near": "far distant", "negative": "positive", "never": "always", "new": "old", "night": "day",
    "noisy": "quiet silent", "north": "south", "often": "rarely seldom", "old": "young new",
    "open": "closed close shut",
    "optimist": "pessimist", "over": "under", "parent": "child", "peace": "war conflict", "permanent": "temporary",
    "plural": "singular", "polite": "rude impolite", "poor": "rich wealthy", "positive": "negative",
    "poverty": "wealth", "private": "public", "proud": "humble ashamed", "public": "private", "pull": "push",
    "push": "pull", "question": "answer", "quick": "slow", "quiet": "loud noisy", "rare": "common",
    "receive": "give send", "remember": "forget", "rich": "poor", "right": "left wrong", "rise": "fall",
    "rough": "smooth", "rude": "polite", "sad": "happy", "safe": "dangerous unsafe", "same": "different",
    "senior": "junior", "shallow": "deep", "sharp": "blunt dull", "short": "long tall", "shrink": "grow expand",
    "shy": "outgoing confident bold", "sick": "healthy well", "simple": "complex complicated",
    "single": "married double",
    "sink": "float", "slow": "fast quick", "small": "big large", "smooth": "rough", "soft": "hard loud",
    "sour": "sweet", "south": "north", "start": "stop finish end", "stingy": "generous", "stop": "start go",
    "strong": "weak", "success": "failure", "summer": "winter", "sunrise": "sunset", "sweet": "sour bitter",
    "take": "give", "tall": "short", "teach": "learn", "temporary": "permanent", "thick": "thin", "thin": "thick fat",
    "tight": "loose", "tiny": "huge giant large", "top": "bottom", "true": "false", "truth": "lie falsehood",
    "ugly": "beautiful pretty", "under": "over above", "up": "down", "vertical": "horizontal", "victory": "defeat",
    "visible": "invisible", "war": "peace", "warm": "cool cold", "weak": "strong", "wealth": "poverty",
    "west": "east", "wet": "dry", "white": "black", "wide": "narrow", "wild": "tame", "win": "lose",
    "winter": "summer", "wise": "foolish", "wrong": "right correct", "young": "old",
}  # fmt: skip

PREFIXED = """
able unable, accurate inaccurate, active inactive, agree disagree, appear disappear, aware unaware,
believable unbelievable, capable incapable, certain uncertain, clear unclear, comfortable uncomfortable,
common uncommon, complete incomplete, connect disconnect, conscious unconscious, consistent inconsistent,
correct incorrect, cover uncover, dependent independent, direct indirect, do undo, dress undress, edible inedible,
effective ineffective, efficient inefficient, employed unemployed, equal unequal, even uneven, expected unexpected,
experienced inexperienced, fair unfair, faithful unfaithful, familiar unfamiliar, fold unfold, forgettable
unforgettable,
formal informal, fortunate unfortunate, friendly unfriendly, happy unhappy, healthy unhealthy, helpful unhelpful,
honest dishonest, important unimportant, justice injustice, kind unkind, known unknown, legal illegal,
legible illegible, like dislike, likely unlikely, limited unlimited, literate illiterate, load unload, lock unlock,
logical illogical, loyal disloyal, lucky unlucky, mature immature,mortal immortal, natural unnatural,
necessary unnecessary, obey disobey, official unofficial, pack unpack, patient impatient,
perfect imperfect, pleasant unpleasant, polite impolite, popular unpopular, possible impossible, practical impractical,
predictable unpredictable, probable improbable, proper improper, pure impure, qualified unqualified, rational
irrational,
real unreal, realistic unrealistic, regular irregular, relevant irrelevant, reliable unreliable,
resistible irresistible, respectful disrespectful, responsible irresponsible, reversible irreversible, safe unsafe,
selfish unselfish, sensitive insensitive, significant insignificant, similar dissimilar,
sincere insincere, stable unstable, successful unsuccessful, sufficient insufficient, suitable unsuitable,
sure unsure, tidy untidy, tie untie, tolerant intolerant, true untrue,usual unusual, valid invalid,
visible invisible, willing unwilling, wise unwise, worthy unworthy, wrap unwrap, zip unzip
"""
