"""The site: links lead somewhere, tutorials run, pictures can be drawn, and what is built fetches nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from script_loader import load_script

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(p for p in [ROOT / "README.md", *DOCS.rglob("*.md")] if "_build" not in p.parts)
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CELL = re.compile(r"^```\{code-cell\} ipython3\n(?::tags:[^\n]*\n)?(.*?)^```", re.MULTILINE | re.DOTALL)
TREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
REMOTE = re.compile(
    r"""<(?:script|link|img|iframe|source|video)\b[^>]*?\b(?:src|srcset|href)\s*=\s*["']?\s*(?:https?:)?//[^"'\s>]+"""
    r"""|@import\s+["'(]|url\(\s*["']?(?:https?:)?//""",
    re.IGNORECASE,
)


def without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchor(heading):
    """As on GitHub: small letters, hyphens for spaces, no punctuation."""
    plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, place = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{target} is not there"
        if place:
            headings = re.findall(r"^#+ (.*)$", without_code(file.read_text(encoding="utf-8")), re.MULTILINE)
            assert place in map(anchor, headings), f"{target}: no such heading"


def test_every_page_is_in_the_contents():
    listed = set()
    for index in (DOCS / "index.md", DOCS / "api" / "index.md"):
        for tree in re.findall(
            r"^```\{toctree\}\n(.*?)^```", index.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            listed |= {(index.parent / f"{name}.md").resolve() for name in names}
    assert listed | {DOCS / "index.md", ROOT / "README.md"} == set(PAGES)


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda p: p.stem)
def test_tutorial_runs(tutorial, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    cells = CELL.findall(tutorial.read_text(encoding="utf-8"))
    assert len(cells) >= 4
    names = {"__name__": "__main__"}
    for k, cell in enumerate(cells):
        exec(compile(cell, f"{tutorial.name}, cell {k}", "exec"), names)
    if "plt" in names:
        names["plt"].close("all")


def test_a_picture_is_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    script = load_script("make_pictures")
    assert {f"{name}.png" for name in script.PICTURES} <= {path.name for path in (DOCS / "images").iterdir()}
    assert script.main(["networks", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "networks.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        script.main(["moon", "--out", str(tmp_path)])
    assert "no picture is called moon" in capsys.readouterr().err


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_fetches_nothing(tmp_path):
    """Without executing the tutorials, which `make docs` does and `test_tutorial_runs` too."""
    for name in ("sphinx", "furo", "myst_nb"):
        pytest.importorskip(name)
    options = ["--nitpicky", "--fail-on-warning", "--keep-going", "--quiet", "-d", str(tmp_path / "trees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(DOCS), str(tmp_path / "html")],
        env={**os.environ, "EDGE_GYM_DOCS_NOTEBOOKS": "off"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    built = [path for path in (tmp_path / "html").rglob("*") if path.suffix in (".html", ".css")]
    assert len(built) > 50
    for path in built:
        assert not REMOTE.search(path.read_text(encoding="utf-8")), path
    model = (tmp_path / "html" / "model.html").read_text(encoding="utf-8")
    assert model.count("<math") > 50 and "MathJax" not in model


@pytest.mark.parametrize(
    "text",
    [
        '<script async src="https://cdn.example/x.js">',
        "<link rel='stylesheet' href=//fonts.example/a.css>",
        "<img alt='' src=http://a.example/b.png>",
        "@import 'a.css'",
        "src: url(https://a.example/f.woff2)",
    ],
)
def test_what_would_be_fetched_is_found(text):
    assert REMOTE.search(text)
    assert not REMOTE.search('<a href="https://a.example"><img src="_images/world.png"><script src="_static/furo.js">')
