"""Writes tests/data: a small MADE-UP file in each format of docs/data.md, drawn from a fixed seed; nothing measured."""

import json
import random
from datetime import datetime, timedelta
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "tests" / "data"
SEED = 7
WEST, SOUTH, SIDE = 10.0, 50.0, 0.04  # degrees: a town of about 3 km by 4 km that does not exist


def samples() -> dict[str, str]:
    """Returns file name -> text of all samples."""
    rng = random.Random(SEED)
    walks = {user: walk(rng, 40) for user in ("ann", "bob", "eve")}
    return {
        "README.md": README,
        "burstgpt.csv": burstgpt(rng),
        "mooncake.jsonl": mooncake(rng),
        "pods.csv": pods(rng),
        "sites.csv": sites(rng),
        "users.csv": users(rng),
        "servers.csv": servers(),
        "pings.csv": pings(rng),
        "zoo.graphml": zoo(),
        "fcd.xml": fcd(walks),
        **{f"geolife/{user}/Trajectory/20230501090000.plt": plt(steps) for user, steps in walks.items()},
    }


README = """# Samples

**Made up**, by `scripts/make_samples.py`: one small file for each format in `docs/data.md`. They show the columns and
feed the tests. Nothing in them was measured, and no line comes from the data sets themselves.
"""


def burstgpt(rng: random.Random) -> str:
    lines, now_s = ["Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type"], 5.0
    for k in range(40):
        now_s += rng.expovariate(0.5)
        prompt, answer = rng.randint(20, 900), rng.choice([0, *range(30, 400)]) if k != 3 else 0
        session = f"s{rng.randint(1, 6)}" if k % 2 else ""
        log = "Conversation log" if session else "API log"
        elapsed = f"{answer * 0.03:.2f}"
        lines.append(f"{now_s:.0f},{session},{elapsed},made-up,{prompt},{answer},{prompt + answer},{log}")
    return "\n".join(lines) + "\n"


def mooncake(rng: random.Random) -> str:
    lines, now_ms, block = [], 0, 0
    for _ in range(30):
        prompt = rng.randint(10, 5000)
        ids = list(range(block, block + prompt // 512 + 1))
        row = {"timestamp": now_ms, "input_length": prompt, "output_length": rng.randint(1, 500), "hash_ids": ids}
        lines.append(json.dumps(row))
        block += len(ids)
        now_ms += int(rng.expovariate(1 / 400))
    return "\n".join(lines) + "\n"


def pods(rng: random.Random) -> str:
    names = (
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
    )
    lines = [names]
    for k in range(30):
        born = rng.randint(1_000, 9_000)
        dead = "" if k % 10 == 9 else born + rng.randint(10, 3_000)
        gpus = rng.choice([0, 1, 1, 1, 2])
        share = 0 if gpus == 0 else 1000 if gpus > 1 else rng.choice([250, 500, 1000])
        cpu, memory = rng.choice([2, 4, 8]) * 1000, rng.choice([4, 8, 16]) * 1024
        lines.append(f"made-up-{k},{cpu},{memory},{gpus},{share},,LS,Running,{born},{dead},{born + 2}")
    return "\n".join(lines) + "\n"


def sites(rng: random.Random) -> str:
    lines = ["SITE_ID,LATITUDE,LONGITUDE,NAME,STATE"]
    for k in range(9):
        latitude, longitude = SOUTH + SIDE * (k // 3) / 2, WEST + SIDE * (k % 3) / 2
        jitter = rng.uniform(-0.002, 0.002)
        lines.append(f'{9000 + k},{latitude + jitter:.6f},{longitude - jitter:.6f},"Mast {k}, made up",XX')
    return "\n".join(lines) + "\n"


def users(rng: random.Random) -> str:
    rows = [f"{SOUTH + SIDE * rng.random() ** 2:.6f},{WEST + SIDE * rng.random():.6f}" for _ in range(50)]
    return "\n".join(["Latitude,Longitude", *rows]) + "\n"


CITIES = {"3": "Northport", "8": "Eastville", "21": "Southend", "40": "Westbury", "77": "Midtown"}


def servers() -> str:
    rows = [f'"{key}","{name}","{name}","Nowhere","{k}.5","-{k}.25",,,' for k, (key, name) in enumerate(CITIES.items())]
    return "\n".join(['"id","name","title","country","latitude","longitude"', *rows]) + "\n"


def pings(rng: random.Random) -> str:
    lines = ['"source","destination","timestamp","min","avg","max","mdev"']
    keys = [*CITIES, "99"]  # 99 is no server of the other file
    for hour in range(2):
        for i, source in enumerate(keys):
            for j, destination in enumerate(keys):
                if source == destination or {source, destination} == {"3", "77"}:  # the last pair was never measured
                    continue
                avg = 20.0 * abs(i - j) + rng.random()
                cells = (
                    source,
                    destination,
                    f"2020-07-20 0{hour}:00:17.000",
                    f"{avg - 0.5:.3f}",
                    f"{avg:.3f}",
                    "99.9",
                    "1.0",
                )
                lines.append(",".join(f'"{cell}"' for cell in cells))
    return "\n".join(lines) + "\n"


def zoo() -> str:
    """Two parallel edges, a loop, a vertex without coordinates, a label given twice, yEd's drawing, odd ids of keys."""
    places = [("Alpha", "50.0", "10.0"), ("Beta", "51.0", "11.0"), ("Gamma", "52.0", "9.0"), ("Alpha", "", "")]
    nodes = "".join(
        f'    <node id="n{k}">\n      <data key="k7"><y:ShapeNode><y:Shape type="ellipse"/></y:ShapeNode></data>\n'
        f'      <data key="k3">{name}</data>\n'
        + (f'      <data key="k9">{lat}</data>\n      <data key="k1">{lon}</data>\n' if lat else "")
        + "    </node>\n"
        for k, (name, lat, lon) in enumerate(places)
    )
    ends = [("n0", "n1", "1e9"), ("n1", "n0", "4e9"), ("n1", "n2", ""), ("n2", "n3", "1e8"), ("n3", "n3", "")]
    edges = "".join(
        f'    <edge source="{u}" target="{v}">' + (f'<data key="k5">{bits}</data>' if bits else "") + "</edge>\n"
        for u, v, bits in ends
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns"'
        ' xmlns:y="http://www.yworks.com/xml/graphml">\n'
        '  <key for="node" id="k7" yfiles.type="nodegraphics"/>\n'
        '  <key attr.name="label" attr.type="string" for="node" id="k3"/>\n'
        '  <key attr.name="Latitude" attr.type="double" for="node" id="k9"/>\n'
        '  <key attr.name="Longitude" attr.type="double" for="node" id="k1"/>\n'
        '  <key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="k5"/>\n'
        f'  <graph edgedefault="undirected">\n{nodes}{edges}  </graph>\n</graphml>\n'
    )


Walk = list[tuple[float, float]]


def walk(rng: random.Random, n: int) -> Walk:
    """Longitude and latitude of a user every 10 s, who walks to one random place after another."""
    here, goal, steps = (rng.random(), rng.random()), (rng.random(), rng.random()), []
    for _ in range(n):
        away = ((goal[0] - here[0]) ** 2 + (goal[1] - here[1]) ** 2) ** 0.5
        if away < 0.05:
            goal = (rng.random(), rng.random())
        else:
            here = tuple(h + 0.05 * (g - h) / away for h, g in zip(here, goal, strict=True))
        steps.append((round(WEST + SIDE * here[0], 6), round(SOUTH + SIDE * here[1], 6)))
    return steps


def fcd(walks: dict[str, Walk]) -> str:
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!-- made up; <fcd-output.geo value="true"/> -->',
        "<fcd-export>",
    ]
    for k in range(len(walks["ann"])):
        lines.append(f'    <timestep time="{10 * k}.00">')
        for user, steps in walks.items():
            x, y = steps[k]
            lines.append(f'        <vehicle id="{user}" x="{x}" y="{y}" angle="0.00" type="made-up" speed="1.00"/>')
        lines.append("    </timestep>")
    return "\n".join([*lines, "</fcd-export>"]) + "\n"


def plt(steps: Walk) -> str:
    lines = ["Geolife trajectory", "WGS 84", "Altitude is in Feet", "Reserved 3", "0,2,255,My Track,0,0,2,8421376", "0"]
    for k, (x, y) in enumerate(steps):
        now = datetime(2023, 5, 1, 9) + timedelta(seconds=10 * k)
        days = (now - datetime(1899, 12, 30)) / timedelta(days=1)
        lines.append(f"{y},{x},0,-777,{days:.10f},{now:%Y-%m-%d,%H:%M:%S}")
    return "\r\n".join(lines) + "\r\n"


if __name__ == "__main__":
    for name, text in samples().items():
        target = FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")
    print(f"{FOLDER.name}: {len(samples())} made-up files")
