"""The rules of the parser: which words tell the activity, the stage and the severity.

They see the text in lower case, with "@" for the node, "#" for another node and "~" for a length of time.
"""

from __future__ import annotations

import re

from .activities import ACTIVITY_NAMES, AHEAD, CANCELLED, NOW, OVER


def _words(*patterns: str) -> re.Pattern[str]:
    """Any of these words or patterns, as whole words; spaces stand for themselves."""
    return re.compile(rf"(?<![\w@~])(?:{'|'.join(patterns)})(?!\w)")


_ALONE = r"(?<!of )(?<!near )(?<!to )(?<!beside )@"  # the node itself, not something of it or near it
_AUXILIARY = r"(?: (?:is|has|just|now|will|soon|be|become|not|going|about|scheduled|to))+ "

# Activity -> its words. The first that is found counts, so particular ones stand before general ones.
KINDS = tuple(
    (ACTIVITY_NAMES.index(name), pattern)
    for name, pattern in (
        ("video_call", _words(r"video[ -]?(?:calls?|conferenc\w+|chats?|meetings?)", "conference call")),
        ("live_stream", _words(r"live[ -]?(?:stream\w*|broadcast\w*|show)", "streaming live", "broadcasting")),
        (
            "photo_editing",
            _words(r"photo[ -]?edit\w*", r"edit\w* (?:some |of )?(?:photo|picture|image)s?", r"retouch\w*"),
        ),
        ("ar_session", _words("augmented[ -]reality", "ar")),
        ("vr_training", _words("virtual[ -]reality", "vr")),
        ("music_production", _words("music", r"audio (?:mix|record)\w*", "recording")),
        ("video_playback", _words("video playback", "film", "movies?", "watch(?:es|ing)", "[48]k video")),
        ("virus_scan", _words(r"(?:anti-?)?virus\w*", "malware")),
        ("backup", _words("back-?ups?", "backing up")),
        ("os_update", _words("updat(?:e|ing)", "upgrad(?:e|ing)", "patch(?:es|ing)?")),
        ("indexing", _words("index(?:ing|es)?")),
        ("thermal", _words("thermal", r"throttl\w+", r"overheat\w*", "too hot")),
        ("battery_saver", _words(r"battery[ -]sav\w+", "low[ -]battery", r"power[ -]sav\w+", "sav(?:es|ing) power")),
        ("compile", _words("compil(?:es|ing|ation)", "software build")),
        ("file_sync", _words(r"sync(?:s|ing|hron\w*)?")),
        ("game", _words("gam(?:e|es|ing)", "playing", "match", "shooter")),
        (
            "presence",
            re.compile(
                rf"{_ALONE}{_AUXILIARY}(?:leav(?:e|ing)\b|left(?=[.,]| the network| and|$)|disconnected|offline"
                r"|unreachable|out of reach|gone\b|back(?=[.,]| in the network| and|$)|returned|joined)"
                rf"|\bdeparture of @|{_ALONE} has cancelled its departure"
            ),
        ),
        (
            "slowdown",
            re.compile(
                rf"{_ALONE}{_AUXILIARY}(?:slower\b|slow(?:ed)? down|back to (?:its )?(?:normal|usual)|as fast as usual)"
                r"|\bslow-?down (?:expected )?of @"
            ),
        ),
    )
)

# Talk about an activity, not news of one.
TALK = re.compile(
    "|".join(
        pattern.pattern
        for pattern in (
            _words(
                r"about (?!to\b|~)[^ ]*",
                "nothing",
                r"no (?:\w+ ){1,3}(?:of @ |on @ )?(?:is|are) (?:planned|scheduled|due)",
            ),
            _words("(?:last|next|this) (?:week|month|year|night)", "years? ago", "another (?:device|building)"),
            _words("yesterday", "tomorrow", "usually", "often", "always", "ever"),
            _words(
                "asks?", "asked", "dreams?", "explains?", "heard", "reads?", "reading", r"recommend\w*", "remembers?"
            ),
            _words("says?", "talk(?:s|ed|ing)?", "thinks?", "told", "wonders?"),
            _words(r"advert\w*", "articles?", "books?", "forum", "interviews?", "jokes?", "lectures?", "magazines?"),
            _words("manuals?", "meetings?", "newsletters?", "opinions?", "posters?", "review(?:s|ed)?", "shops?"),
            _words("stickers?", "surveys?", "threads?"),
        )
    )
)

# "it will last ~", "and will be over in ~": how long it lasts, which says nothing of the stage.
ITS_END = re.compile(r"\b(?:will|to) (?:be (?:over|done|finished|back)|end|finish|stop|last|take|stay)\b")

STAGE_WORDS = (  # the first that is found counts
    (
        CANCELLED,
        _words(
            r"cancel\w*", "call(?:s|ed)? off", "after all", "will not", "won't", "not going to",
            "no longer (?:planned|scheduled|due)",
        ),
    ),
    (
        OVER,
        _words(
            "over", "ended", "finished", "stopped", "completed?", "is back", "returned", "again", "no more", "done",
        ),
    ),
    (
        NOW,
        _words(
            "started", "begun", "began", "right now", "is now", "currently", "in progress", "under way", "ongoing",
            "busy with", "is running", "is slower", "is slowed", "has (?:just )?(?:become|slowed|left)",
            "is (?:gone|offline|disconnected|out of reach)",
        ),
    ),
    (
        AHEAD,
        _words(
            "will", "going to", "about to", "soon", "shortly", "upcoming", "planned", "plans to", "scheduled", "due",
            "expected", "(?:in|within) (?:about )?~",
        ),
    ),
)  # fmt: skip

SEVERITY_WORDS = (  # mild, strong, severe
    _words(r"mild\w*", r"slight\w*", "minor"),
    _words(r"strong\w*", "heav(?:y|ily)", r"considerabl\w+", r"noticeabl\w+", r"significant\w*"),
    _words(r"severe\w*", r"drastic\w*", r"extreme\w*", r"massive\w*", r"dramatic\w*"),
)

TIME = re.compile(
    r"(?P<when>\b(?:in|within|after) (?:(?:about|around|roughly|some|approximately|another|less than|the next) )?)?"
    r"~(?P<later> (?:from now|later|hence|to go))?"
)
