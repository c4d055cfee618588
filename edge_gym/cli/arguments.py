"""Arguments of the command `edge-gym`: what each command takes, and what is said of one that is none."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from edge_gym.errors import MISSING, EdgeGymInputError, nearest

LISTS = ("tasks", "scenarios", "policies", "suites", "devices", "models", "services")


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting, and knows its own flags, so that mistakes get the nearest name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Turn what argparse found wrong into one of our errors."""
        raise EdgeGymInputError("", MISSING, f"used as in {self.prog} --help", self.prog, message)


def parse(arguments: list[str]) -> argparse.Namespace:
    """What was asked for; `name` is the command, and the module of this package that runs it.

    Raises:
        EdgeGymInputError: A command or flag is unknown, or one lacks its value.
        SystemExit: Help was asked for, and printed.
    """
    parser, commands = parsers()
    first = next((word for word in arguments if not word.startswith("-")), None)
    if first is not None and first not in commands:
        raise EdgeGymInputError("command", first, f"one of {', '.join(commands)}", hint=nearest(first, commands))
    if not arguments:
        parser.print_help()
        raise SystemExit(0)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        sub = commands.get(options.name, parser)
        flags = [flag for action in sub._actions for flag in action.option_strings]
        flag = next((word for word in unknown if word.startswith("-")), unknown[0]).partition("=")[0]
        raise EdgeGymInputError("argument", flag, "known", sub.prog, nearest(flag, flags) or f"see {sub.prog} --help")
    if options.name is None:
        raise EdgeGymInputError("command", MISSING, f"given: one of {', '.join(commands)}")
    return options


def parsers() -> tuple[Parser, dict[str, Parser]]:
    """The parser of everything, and that of each command."""
    from edge_gym import __version__

    parser = Parser(prog="edge-gym", description="Environments for running generative AI at the edge.")
    parser.add_argument("--version", action="version", version=f"edge-gym {__version__}")
    subs = parser.add_subparsers(title="commands", metavar="COMMAND", dest="name")
    commands = {
        "bench": _bench_parser(subs),
        "report": _report_parser(subs),
        "replay": _replay_parser(subs),
        "train": _train_parser(subs),
        "list": _list_parser(subs),
        "show": _show_parser(subs),
        "stub-llm": _stub_llm_parser(subs),
        "prompt": _prompt_parser(subs),
        "data": _data_parser(subs),
        "testbed": _testbed_parser(subs),
        "export": _export_parser(subs),
        "doctor": subs.add_parser("doctor", help="check this installation and say what to do about each problem"),
    }
    for command in commands.values():
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser, commands


def _bench_parser(subs: Any) -> Parser:
    parser = subs.add_parser("bench", help="run policies on the same worlds and compare them")
    add = parser.add_argument
    add("--suite", metavar="NAME", help="a named comparison, see 'edge-gym list suites', or the path of one")
    add("--also", metavar="NAMES", help="policies to compare too, in the cells of the suite whose task they decide")
    add("--task", help="default: routing")
    add("--scenario", metavar="NAMES", help="presets or files, with commas between them (default: the task's own)")
    add("--policies", metavar="NAMES", help="see 'edge-gym list policies' (default: a few of each task)")
    add("--episodes", metavar="N", help="worlds for each policy and scenario (default 20, or what the suite says)")
    add("--seed", metavar="N", help="of the first world; the next has the next number (default 1000)")
    add("--out", metavar="FOLDER", help="write results there (default: only print them)")
    add("--resume", action="store_true", help="go on with the unfinished run in --out")
    add("--overwrite", action="store_true", help="replace the older run in --out")
    add("--workers", metavar="N", help="processes (default: one for each core)")
    add("--engine", default="processes", metavar="NAME", help="processes (default), or ray; needs the extra 'ray'")
    add("--address", metavar="ADDRESS", help="of a running Ray cluster (default: one is started here)")
    add("--shard-timeout", metavar="S", help="seconds after which a worker is taken for hung (default: 4 hours)")
    add("--batch-size", default="64", metavar="N", help="worlds at the same time in a process; fewer save memory")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="change the scenario, as in --set load=0.9")
    add("--by-site", metavar="FIELD=VALUE[,...]", help="the sites decide, as in slot_s=0.1,heartbeat_s=4,view=own")
    add("--trace", metavar="FILE", help="requests from a trace file, in worlds without AI agents; see docs/data.md")
    add("--quiet", action="store_true", help="no progress bar")
    llm = parser.add_argument_group("policies that ask a language model", "an endpoint is set in the environment")
    llm.add_argument("--llm", metavar="MODE", help="off (default), live, record or replay")
    llm.add_argument("--transcript", metavar="FOLDER", help="what was asked and answered, to record and to replay")
    llm.add_argument("--refresh", action="store_true", help="record anew instead of going on with what is recorded")
    llm.add_argument("--llm-thinking", metavar="S[,S]", help="declared seconds of an answer, and of each of its tokens")
    llm.add_argument("--llm-calls", metavar="N", help="at most so many requests to the model in an episode")
    llm.add_argument("--allow-unpriced", action="store_true", help="ask although the price is not known")
    return parser


def _report_parser(subs: Any) -> Parser:
    parser = subs.add_parser("report", help="make an offline page, Markdown or CSV of the results in a folder")
    parser.add_argument("run", metavar="FOLDER", help="of a finished run of edge-gym bench --out")
    parser.add_argument("--out", metavar="FILE", help="default: report.html, report.md or leaderboard.csv in FOLDER")
    parser.add_argument("--format", metavar="NAME", help="html, md or csv (default: as --out ends, else html)")
    again = "episodes of each policy and scenario to play again, for time series and regret (default 5; 0: none)"
    parser.add_argument("--recordings", default="5", metavar="N", help=again)
    return parser


def _replay_parser(subs: Any) -> Parser:
    parser = subs.add_parser("replay", help="play one episode of a finished run again, and make a page of it")
    add = parser.add_argument
    add("run", metavar="RUN", help="the folder of bench --out")
    add("--episode", default="0", metavar="N", help="the N-th episode, from 0, of those that match (default 0)")
    add("--policy", metavar="NAME", help="only its episodes")
    add("--scenario", metavar="NAME", help="only its episodes")
    add("--seed", metavar="N", help="only episodes of this world")
    add("--out", metavar="FILE", help="the page (default: replay-SCENARIO-POLICY-SEED.html here)")
    add("--video", metavar="FILE", help="also a video, .gif or .mp4 (extras 'plot' and 'video')")
    add("--transcript", metavar="FOLDER", help="what a language model was asked and answered, for policies that ask")
    add("--open", action="store_true", help="show the page in the browser")
    add("--overwrite", action="store_true", help="replace older files")
    return parser


def _train_parser(subs: Any) -> Parser:
    parser = subs.add_parser("train", help="train a controller; needs the extra 'rl'")
    add = parser.add_argument
    add("--task", default="routing", help="default: routing")
    add("--scenario", metavar="NAMES", help="presets or files, with commas between them (default: the task's own)")
    algorithms = "ppo (default), recurrent_ppo, dqn, maskable_ppo, imitation, hindsight, placement_hindsight, evolution"
    add("--algo", default="ppo", metavar="NAME", help=f"{algorithms}; see docs/training.md")
    add("--network", metavar="KIND", help="deepsets, attention, graph, recurrent or mlp (default: the algorithm's)")
    add("--hidden", default="64", metavar="N", help="width of the network (default 64)")
    add("--seed", default="0", metavar="N", help="of everything that is drawn (default 0)")
    add("--steps", default="2000000", metavar="N", help="decisions in all worlds together (default 2000000)")
    add("--out", required=True, metavar="FOLDER", help="of the run; see docs/training.md for what is in it")
    add("--resume", action="store_true", help="go on with the unfinished run in --out")
    add("--overwrite", action="store_true", help="replace the older run in --out")
    add("--init", metavar="FILE", help="a checkpoint to begin with")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="change the scenario, as in --set load=0.9")
    add("--hyper", action="append", default=[], metavar="FIELD=VALUE", help="change a setting of the algorithm")
    add("--teacher", metavar="NAME", help="who is imitated: a policy, or oracle_costs")
    add("--worlds", default="256", metavar="N", help="at the same time (default 256)")
    add("--group", default="1", metavar="N", help="so many of them meet the same requests (default 1)")
    variants = "train in N variants of each scenario too: other loads, devices, sizes (default of N: 8)"
    add("--randomise", nargs="?", const="8", metavar="N", help=variants)
    add("--validate", default="20", metavar="N", help="episodes of a validation on each scenario; 0: none (default 20)")
    add("--validate-every", metavar="N", help="decisions between two validations (default: a twentieth of --steps)")
    add(
        "--patience",
        default="0",
        metavar="N",
        help="end after so many validations without improvement (0: never)",
    )
    add("--threads", default="2", metavar="N", help="of the network and the worlds (default 2)")
    add("--save-every", default="60", metavar="S", help="seconds between two saves of the state (default 60)")
    add("--quiet", action="store_true", help="print nothing")
    return parser


def _list_parser(subs: Any) -> Parser:
    parser = subs.add_parser("list", help="names that can be used, and the shipped figures")
    parser.add_argument("what", nargs="?", metavar="WHAT", help=", ".join(LISTS))
    return parser


def _show_parser(subs: Any) -> Parser:
    parser = subs.add_parser("show", help="print a scenario or a suite in full, to save, edit and use as a file")
    what = "a preset or a file, or the name of a suite (see 'edge-gym list')"
    parser.add_argument("scenario", metavar="SCENARIO", help=what)
    parser.add_argument("--task", help="refuse a scenario of another task (default: any)")
    parser.add_argument("--format", default="yaml", help="yaml (default) or json")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field")
    return parser


def _stub_llm_parser(subs: Any) -> Parser:
    parser = subs.add_parser("stub-llm", help="serve a stand-in for a language model on this machine")
    parser.add_argument("--port", default="0", metavar="N", help="default: a free one")
    parser.add_argument(
        "--play", default="rules", metavar="NAME", help="rules (default), obedient, chat, polish, or a fault"
    )
    return parser


def _prompt_parser(subs: Any) -> Parser:
    parser = subs.add_parser("prompt", help="print what a language model would be sent, without asking one")
    tasks = "routing (default: the router's controls), placement, migration"
    parser.add_argument("--task", default="routing", metavar="TASK", help=tasks)
    parser.add_argument("--scenario", metavar="SCENARIO", help="default: semantic, or the task's own")
    parser.add_argument("--seed", default="1000", metavar="N", help="of the world (default 1000)")
    parser.add_argument("--turn", default="1", metavar="K", help="the K-th question of the episode (default 1)")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change the scenario")
    return parser


def _data_parser(subs: Any) -> Parser:
    usage = (
        "edge-gym data inspect FILE [--sites FILE] [--json]\n"
        "       edge-gym data convert pings SERVERS PINGS --out FILE\n"
        "       edge-gym data convert eua SITES USERS --out FILE"
    )
    parser = subs.add_parser("data", help="say what a data file is, or convert it; see docs/data.md", usage=usage)
    parser.add_argument("action", metavar="ACTION", help="inspect, or convert to a network (pings or eua)")
    parser.add_argument("words", nargs="+", metavar="FILE", help="or: pings SERVERS PINGS; eua SITES USERS")
    parser.add_argument("--out", metavar="FILE", help="write the converted file there; it must be new")
    parser.add_argument("--sites", metavar="FILE", help="count the handovers of trajectories between these EUA sites")
    parser.add_argument("--json", action="store_true", help="print figures for machines")
    return parser


def _testbed_parser(subs: Any) -> Parser:
    parser = subs.add_parser("testbed", help="move a real agent between real processes and measure what it takes")
    add = parser.add_argument
    add("--messages", default="10,100,1000", metavar="N,N", help="of the conversation (default 10,100,1000)")
    add("--characters", default="400,1600", metavar="N,N", help="of a message (default 400,1600)")
    add("--mode", default="both", metavar="MODE", help="lightweight, full, or both (default)")
    add("--repeats", default="5", metavar="N", help="of each migration (default 5)")
    add("--image-mib", default="64", metavar="N", help="image of a full migration, in MiB (default 64)")
    add("--out", default="runs/testbed", metavar="FOLDER", help="write results there (default runs/testbed)")
    add("--overwrite", action="store_true", help="replace the older results in --out")
    add("--json", action="store_true", help="print the law and all cells as JSON")
    return parser


def _export_parser(subs: Any) -> Parser:
    parser = subs.add_parser("export", help="write a learned controller as an ONNX file")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors file of edge_agents")
    parser.add_argument("out", metavar="OUT", help="a new .onnx file")
    return parser
