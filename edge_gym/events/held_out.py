"""The held-out style: the same news in other words and another syntax.

The parser was written before it and not changed since. Eight of the 32 names of activities are everyday synonyms that
its rules know, put in afterwards on purpose: a style that avoids every word of the rules would be as unnatural.
Blanks as in `standard`; {harm} is the severity in other words.
"""

from __future__ import annotations

NOUNS = {
    "game": ("a|first-person shooter", "a|boss fight"),
    "video_call": ("a|face-to-face chat over the camera", "a|catch-up with grandma on camera"),
    "ar_session": ("a|stroll with holograms in view", "an|overlay of holograms"),
    "photo_editing": ("a|touch-up of holiday snaps", "a|retouching of portraits"),
    "video_playback": ("a|box-set binge", "a|movie night"),
    "live_stream": ("an|on-air show for followers", "a|webcast to fans"),
    "vr_training": ("a|goggles-on drill", "a|simulator ride with a headset"),
    "music_production": ("a|studio take with the band", "a|beat-making jam"),
    "os_update": ("a|firmware refresh", "a|security patch"),
    "backup": ("a|safety copy of everything", "a|nightly archive"),
    "virus_scan": ("an|antivirus run", "a|security sweep"),
    "indexing": ("a|crawl through all documents", "a|cataloguing of the drive"),
    "thermal": ("a|heat-induced clock cut", "a|cool-down on reduced clocks"),
    "battery_saver": ("an|energy diet", "a|power-saving profile"),
    "compile": ("a|long make run", "|compiling of millions of lines"),
    "file_sync": ("a|mirroring of folders", "a|folder sync"),
}

USER = {
    "ahead": (
        "Heads-up: {a} kicks off shortly on {node}, {onset} from now.",
        "Whoever holds {node} has {a} pencilled in, {onset} out; reckon with {duration}.",
        "It won't be long before {a} ties up {node}, and the toll looks {harm}.",
        "On the calendar of {node}'s owner, {onset} away: {a} ({duration}, {harm} impact).",
        "Brace for {a} over at {node}; give it {onset}.",
    ),
    "now": (
        "{node} has its hands full: {a} got under way.",
        "{A} has taken hold of {node}; count on {duration} of it.",
        "With {a} in full swing, {node} suffers a {harm} hit.",
        "For {duration} to come, {node} is given over to {a}.",
        "{node}'s owner is deep into {a}.",
    ),
    "over": (
        "That was it for {the} over at {node}.",
        "{node} can breathe again, {the} having wrapped up.",
        "Curtain down on {the}; {node} has capacity to spare.",
    ),
    "cancelled": (
        "Scrap that: {the} on {node}'s calendar fell through.",
        "{node} is spared {the}.",
        "Forget {the} foreseen for {node}; somebody thought better of it.",
    ),
}

MACHINE = {
    "ahead": (
        "Heads-up: {onset} from now, {node} gives itself over to {a}.",
        "Its keepers have pencilled in {a} for {node}, {onset} out; reckon with {duration}.",
        "It won't be long before {node} sinks its cores into {a}, and the toll looks {harm}.",
        "Next in line at {node}, {onset} away: {a} ({duration}, {harm} impact).",
        "Brace for {a} over at {node}; give it {onset}.",
    ),
    "now": (
        "{node} has its hands full: {a} got under way.",
        "{A} has taken hold of {node}; count on {duration} of it.",
        "With {a} in full swing, {node} suffers a {harm} hit.",
        "For {duration} to come, {node} is given over to {a}.",
        "{node} is deep into {a}.",
    ),
    "over": USER["over"],
    "cancelled": (
        "Scrap that: {the} on {node}'s to-do list fell through.",
        "{node} is spared {the}.",
        "Forget {the} foreseen for {node}; somebody thought better of it.",
    ),
}

SLOWDOWN = {
    "ahead": (
        "Before long {node} ought to lose pace; allow {onset}.",
        "Word is that {node} turns sluggish, {onset} from now, over a stretch of {duration}.",
        "A {harm} dip in pace looms at {node}.",
    ),
    "now": (
        "{node} is crawling along.",
        "Something drags on {node}, a {harm} dent in its pace.",
        "{node} limps, and {duration} may go by until it recovers.",
    ),
    "over": (
        "{node} has got its pace back.",
        "Whatever dragged on {node} has let go.",
    ),
    "cancelled": (
        "The dip foreseen at {node} never came.",
        "{node} keeps its pace, contrary to the warning.",
    ),
}

PRESENCE = {
    "ahead": (
        "Say goodbye to {node}: {onset} until it drops off the map.",
        "{node} packs up, {onset} out, and shows up {duration} afterwards.",
        "{node} won't be around much longer.",
    ),
    "now": (
        "{node} is offline.",
        "Nobody can get hold of {node}; try once {duration} have gone by.",
        "{node} went dark.",
    ),
    "over": (
        "{node} resurfaced.",
        "{node} answers calls once more.",
    ),
    "cancelled": (
        "{node} decided to stick around.",
        "So much for the goodbye: {node} stays put.",
    ),
}
