"""What the shipped parser gets right, by style, and examples of both styles: the figures of docs/events.md.

python scripts/score_parser.py
"""

from __future__ import annotations

import argparse

from edge_gym.events.activities import ACTIVITIES, CHATTER, STAGES
from edge_gym.events.parser import read
from edge_gym.events.phrases import STYLES, Phrase, phrases, render

NODES = ("phone-3", "jetson_orin_nx-2", "rtx_4090-1", "rtx_4090-15")
ONSET_S, DURATION_S = 12.0, 90.0
SPEEDS = (0.7, 0.4, 0.1)  # mild, strong, severe


def right(phrase: Phrase, node: str, speed: float) -> bool:
    """Whether the parser has stage, node and foreground of a rendered phrase; of chatter, that it is chatter."""
    reading = read(render(phrase, node, ONSET_S, DURATION_S, speed), NODES)
    if phrase.stage == CHATTER:
        return reading.stage == CHATTER
    truth = (phrase.stage, node, ACTIVITIES[phrase.activity].foreground)
    return (reading.stage, reading.node, reading.foreground) == truth


def score(style: str, stage: int) -> tuple[int, int]:
    """Phrases of a stage that the parser reads right on every node at every speed, and how many there are."""
    run = [phrase for phrase in phrases("text", style) if phrase.stage == stage]
    return sum(all(right(phrase, node, speed) for node in NODES for speed in SPEEDS) for phrase in run), len(run)


def false_alarms(style: str) -> tuple[int, int]:
    """Events of a style that are read as another event than they are, and how many events there are."""
    wrong = events = 0
    for phrase in phrases("text", style):
        if phrase.stage != CHATTER:
            events += 1
            stage = read(render(phrase, NODES[0], ONSET_S, DURATION_S, SPEEDS[0]), NODES).stage
            wrong += stage not in {phrase.stage, CHATTER}
    return wrong, events


def table() -> str:
    """The table of scores in Markdown."""
    lines = ["| phrases | " + " | ".join(STYLES) + " |", "|---|" + "---|" * len(STYLES)]
    rows = [(name, [score(style, stage) for style in STYLES]) for stage, name in enumerate(STAGES)]
    rows.append(("read as an event of another stage", [false_alarms(style) for style in STYLES]))
    for name, cells in rows:
        lines.append(
            f"| {name} | " + " | ".join(f"{part} of {whole} ({part / whole:.0%})" for part, whole in cells) + " |"
        )
    return "\n".join(lines)


def examples(style: str) -> str:
    """One rendered phrase for each stage, as a list in Markdown."""
    lines = []
    for stage, name in enumerate(STAGES):
        run = [phrase for phrase in phrases("text", style) if phrase.stage == stage]
        phrase = run[len(run) * (2 * stage + 1) // 11]  # five different activities
        lines.append(f"- {name}: {render(phrase, NODES[0], ONSET_S, DURATION_S, SPEEDS[1])}")
    return "\n".join(lines)


def main() -> None:
    """Prints the examples of both styles, then the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for style in STYLES:
        print(f"{style}\n\n{examples(style)}\n")
    print(table())


if __name__ == "__main__":
    main()
