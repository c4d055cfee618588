"""The standard style: what activities are called, and the sentences that announce them.

Sentences name their blanks: {a} "a 4K game", {the} "the 4K game", {bare} "4K game", {A} and {The} the same at the
beginning of a sentence; the other blanks are filled when a phrase is rendered.
"""

from __future__ import annotations

# Activity -> what it is called, "article|noun". Nouns that cannot be counted have no article.
NOUNS = {
    "game": ("a|4K game", "a|multiplayer game"),
    "video_call": ("a|video call", "a|video conference"),
    "ar_session": ("an|augmented reality session", "an|AR session"),
    "photo_editing": ("a|photo editing session", "|photo editing"),
    "video_playback": ("|video playback", "a|film in 8K"),
    "live_stream": ("a|live stream", "a|live broadcast"),
    "vr_training": ("a|VR training", "a|virtual reality lesson"),
    "music_production": ("a|music recording", "|audio mixing"),
    "os_update": ("an|operating system update", "a|system upgrade"),
    "backup": ("a|full backup", "a|backup of the disk"),
    "virus_scan": ("a|virus scan", "a|malware scan"),
    "indexing": ("|search indexing", "an|indexing of all files"),
    "thermal": ("|thermal throttling", "|throttling against overheating"),
    "battery_saver": ("|battery saver mode", "a|low-battery mode"),
    "compile": ("a|compilation of a large program", "a|software build"),
    "file_sync": ("a|file synchronisation", "a|synchronisation with the cloud"),
}

# Stage -> sentences about what a user does in the foreground.
USER = {
    "ahead": (
        "The user of {node} will start {a} in about {onset}.",
        "{A} is going to start on {node} in {onset} and will last about {duration}.",
        "In {onset} the user of {node} begins {a}; expect a {severity} slowdown.",
        "{node}: {a} is planned, starting in {onset}, for {duration}.",
        "The user of {node} is about to begin {a}.",
        "{A} will begin soon on {node}. It will take about {duration}, with a {severity} slowdown.",
        "Upcoming on {node}: {a} in about {onset}, lasting {duration}, {severity} slowdown.",
        "{node} will be slowed down by {a} that begins in {onset}.",
    ),
    "now": (
        "The user of {node} has started {a}.",
        "{A} has just started on {node} and will last about {duration}.",
        "{A} is now running on {node}; expect a {severity} slowdown.",
        "The user of {node} has begun {a}, for the next {duration}.",
        "{node} is busy with {a} for about {duration}, {severity} slowdown.",
        "Right now {a} is slowing {node} down.",
        "{node}: {a} began a moment ago. The slowdown is {severity}.",
        "{A} is in progress on {node} and will be over in {duration}.",
    ),
    "over": (
        "The user of {node} has finished {the}.",
        "{The} on {node} is over.",
        "{The} has ended on {node}, which is free again.",
        "{node}: {the} is finished.",
        "The user of {node} has stopped {the}.",
    ),
    "cancelled": (
        "{The} planned on {node} has been cancelled.",
        "{The} will not start on {node} after all.",
        "{node}: {the} is called off.",
        "The user of {node} has cancelled {the}.",
        "There will be no {bare} on {node}, it was cancelled.",
    ),
}

# Stage -> sentences about what a machine does by itself.
MACHINE = {
    "ahead": (
        "{node} will start {a} in about {onset}.",
        "{A} is scheduled on {node} in {onset} and will last about {duration}.",
        "In {onset} {node} begins {a}; expect a {severity} slowdown.",
        "{node}: {a} is due in {onset}, for {duration}.",
        "{node} is about to begin {a}.",
        "{A} will begin soon on {node}. It will take about {duration}, with a {severity} slowdown.",
        "Scheduled on {node}: {a} in about {onset}, lasting {duration}, {severity} slowdown.",
        "{node} will be slowed down by {a} that begins in {onset}.",
    ),
    "now": (
        "{node} has started {a}.",
        "{A} has just started on {node} and will last about {duration}.",
        "{A} is now running on {node}; expect a {severity} slowdown.",
        "{node} has begun {a}, for the next {duration}.",
        "{node} is busy with {a} for about {duration}, {severity} slowdown.",
        "Right now {a} is slowing {node} down.",
        "{node}: {a} began a moment ago. The slowdown is {severity}.",
        "{A} is in progress on {node} and will be over in {duration}.",
    ),
    "over": (
        "{node} has finished {the}.",
        "{The} on {node} is over.",
        "{The} has ended on {node}, which is free again.",
        "{node}: {the} is finished.",
        "{node} has stopped {the}.",
    ),
    "cancelled": (
        "{The} scheduled on {node} has been cancelled.",
        "{The} will not start on {node} after all.",
        "{node}: {the} is called off.",
        "{node} has cancelled {the}.",
        "There will be no {bare} on {node}, it was cancelled.",
    ),
}

SLOWDOWN = {
    "ahead": (
        "{node} is going to be slower than usual in {onset}.",
        "{node} will be slower than usual in about {onset}, for {duration}.",
        "In {onset} {node} will slow down for about {duration}; expect a {severity} slowdown.",
        "A {severity} slowdown of {node} is expected in {onset}.",
        "{node} will soon be slower than usual, for about {duration}.",
        "{node} is about to become slower than usual; the slowdown will be {severity}.",
    ),
    "now": (
        "{node} is slower than usual.",
        "{node} has become slower than usual and will stay so for about {duration}.",
        "{node} is now slower than usual; the slowdown is {severity}.",
        "A {severity} slowdown of {node} has started and will last about {duration}.",
        "Right now {node} is slowed down.",
        "{node} has slowed down for the next {duration}, a {severity} slowdown.",
    ),
    "over": (
        "{node} is back to normal.",
        "{node} is back to its normal speed.",
        "The slowdown of {node} is over.",
        "{node} is as fast as usual again.",
    ),
    "cancelled": (
        "{node} will not be slower than usual after all.",
        "The slowdown expected of {node} has been cancelled.",
        "{node} will not slow down after all.",
        "There will be no slowdown of {node}, it was cancelled.",
    ),
}

PRESENCE = {
    "ahead": (
        "{node} is going to leave the network in {onset}.",
        "{node} will leave in about {onset} and stay away for {duration}.",
        "In {onset} {node} will be disconnected for about {duration}.",
        "{node} is about to leave the network.",
        "{node} will soon be out of reach, for about {duration}.",
        "{node} is scheduled to leave the network in {onset}.",
    ),
    "now": (
        "{node} has left the network.",
        "{node} has left and will stay away for about {duration}.",
        "{node} is now disconnected.",
        "{node} has just left the network for {duration}.",
        "{node} is out of reach right now.",
        "{node} is gone for the next {duration}.",
    ),
    "over": (
        "{node} is back in the network.",
        "{node} has returned.",
        "{node} is back and takes requests again.",
        "{node} has joined the network again.",
    ),
    "cancelled": (
        "{node} is not going to leave the network after all.",
        "{node} will not leave after all.",
        "The departure of {node} has been cancelled.",
        "{node} has cancelled its departure and stays in the network.",
    ),
}
