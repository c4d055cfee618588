"""Screenshots for the documentation: docs/images/replay-{light,dark}.png, and with --run report-{light,dark}.png.

Needs the extra "browser" and a chromium. The replayed episode is of the preset `semantic` with `e3_rules`, seed 1000.
The report is that of a run, as of

edge-gym bench --scenario semantic,churn,drift,mixed --episodes 30 --out runs/picture \\
    --policies sect_blind,sect_static,sect_watchdog,linucb,learned_routing,e3_fast,e3_rules,oracle
python scripts/make_screenshots.py --run runs/picture
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import opened  # noqa: E402

from edge_gym.evaluation.recording import record  # noqa: E402
from edge_gym.evaluation.replay_data import replay_data  # noqa: E402
from edge_gym.evaluation.replay_html import replay_page  # noqa: E402
from edge_gym.report.write import report_text  # noqa: E402

WIDTH, HEIGHT = 1280, 800
MOMENT = "t=59.5&node=11"  # many gates are moved then
MAX_BYTES = 300_000


def shoot(folder: Path) -> list[Path]:
    """The pictures, written to a folder."""
    data = replay_data(record("semantic", "e3_rules", 1000), {"made by": "scripts/make_screenshots.py"})
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        page_file = Path(scratch) / "replay.html"
        page_file.write_text(replay_page(data))
        for name, dark in (("light", False), ("dark", True)):
            target = folder / f"replay-{name}.png"
            with opened(page_file, WIDTH, HEIGHT, dark, MOMENT) as page:
                page.tab.wait_for_timeout(300)
                page.tab.screenshot(path=target, full_page=True)
                assert not page.complaints, page.complaints
            _shrink(target)
            found.append(target)
    return found


def shoot_report(run: Path, folder: Path) -> list[Path]:
    """The first screen of the report of a run, by day and at night."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        page_file = Path(scratch) / "report.html"
        page_file.write_text(report_text(run, "html"), "utf-8")
        for name, dark in (("light", False), ("dark", True)):
            target = folder / f"report-{name}.png"
            with opened(page_file, WIDTH, 1900, dark) as page:
                page.tab.screenshot(path=target)
                assert not page.complaints, page.complaints
            _shrink(target)
            found.append(target)
    return found


def _shrink(path: Path) -> None:
    """Fewer colours, where the file would be too large."""
    if path.stat().st_size < MAX_BYTES:
        return
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256)
    small.save(path, optimize=True)
    assert path.stat().st_size < MAX_BYTES, path.stat().st_size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--run", type=Path, help="a run folder: screenshots of its report, instead of the replay")
    options = parser.parse_args()
    folder = options.out
    folder.mkdir(parents=True, exist_ok=True)
    for path in shoot(folder) if options.run is None else shoot_report(options.run, folder):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
