"""Which test carries which id of docs/checks.yaml: read from the tests themselves.

An id stands in the name of a test (`test_ben_03_...`), in its docstring, its parameters or a comment beside them, in
a list that it uses, in a comment `# --- VAL-18` above tests whose names say nothing, or in the docstring of the file.
"VAL-01 to VAL-03" means all three.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
CHECKS = ROOT / "docs" / "checks.yaml"
WHOLE = ""  # stands for all tests of a file
SHOWN = 4  # names of tests of one file
LEAD = re.compile(r"^test_([A-Za-z]+_\d\d_)*")  # what is not shown of a name: the id stands beside it

INTRODUCTION = """# What is checked

What one should ask of an environment like this one, each with an id, and the tests that carry the id. An id without a
test is *not checked*: perhaps something else covers it, but nothing says so; what this project has nothing of says why.
Where only a file is named, its tests cover the id together. `make test` runs all but what needs something that is not
there; what takes more than ten seconds is marked `slow`.
"""


def checked_page(tests: Path = ROOT / "tests") -> str:
    """The page, without the note on top."""
    families = yaml.safe_load(CHECKS.read_text(encoding="utf-8"))
    found = carried(tests, tuple(families))
    heads = "| | items | checked |\n| --- | --- | --- |\n"
    counts, tables = [], []
    for family, its in families.items():
        ids = {f"{family}-{number:02d}": text for number, text in its["items"].items()}
        absent = {f"{family}-{number:02d}": why for number, why in its.get("absent", {}).items()}
        n_checked = sum(name in found for name in ids)
        counts.append(f"| {its['title']} ({family}) | {len(ids) - len(absent)} | {n_checked} |")
        said = {name: f"does not apply: {absent[name]}" if name in absent else _tests(found.get(name)) for name in ids}
        rows = [f"| `{name}` | {text} | {said[name]} |" for name, text in ids.items()]
        tables.append(f"## {its['title']}\n\n| id | what | tests |\n| --- | --- | --- |\n" + "\n".join(rows))
    unknown = sorted(set(found) - {f"{f}-{n:02d}" for f, its in families.items() for n in its["items"]})
    if unknown:
        raise ValueError(f"tests carry ids that {CHECKS.name} does not list: {', '.join(unknown)}")
    return INTRODUCTION + "\n" + heads + "\n".join(counts) + "\n\n" + "\n\n".join(tables) + "\n"


def _tests(by_file: dict[str, list[str]] | None) -> str:
    if not by_file:
        return "not checked"
    cells = []
    for file, names in sorted(by_file.items()):
        known = [f"`{LEAD.sub('', name)}`" for name in dict.fromkeys(names) if name != WHOLE]
        more = [f"and {len(known) - SHOWN} more"] if len(known) > SHOWN + 1 else []
        listed = ", ".join((known[:SHOWN] + more) if more else known)
        cells.append(f"{file}: {listed}" if known else file)
    return "; ".join(cells)


def carried(tests: Path, families: tuple[str, ...]) -> dict[str, dict[str, list[str]]]:
    """Ids of what was found: id -> file -> names of tests, or WHOLE."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(tests.glob("test_*.py")):
        for name, ids in _of_file(path, families):
            for one in ids:
                found[one][path.stem].append(name)
    return {one: dict(files) for one, files in found.items()}


def _of_file(path: Path, families: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    text = path.read_text(encoding="utf-8")
    lines, tree = text.splitlines(), ast.parse(text)
    borrowed = [path.parent / f"{node.module}.py" for node in tree.body if isinstance(node, ast.ImportFrom)]
    docs = [ast.get_docstring(tree) or "", *(_docstring(other) for other in borrowed if other.is_file())]
    # a list of cases carries ids for the tests that use it
    lists = {
        target.id: ids
        for node in tree.body if isinstance(node, ast.Assign) and (ids := _ids(_text(lines, node), families))
        for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    heads = {k: _ids(line, families) for k, line in enumerate(lines, 1) if line.startswith("# ---")}
    carriers = [(WHOLE, _ids(" ".join(docs), families))]
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in [*tree.body, *(inner for one in classes for inner in one.body)]:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        own = _text(lines, node)
        named = re.sub(r"_([A-Za-z]+)_(\d\d)(?=_|$)", lambda m: f" {m[1].upper()}-{m[2]} ", node.name)
        above = max((k for k in heads if k < node.lineno), default=0)
        used = [one for name, ids in lists.items() if re.search(rf"\b{name}\b", own) for one in ids]
        group = [] if _ids(named, families) else heads.get(above, [])  # a name says it more exactly
        carriers.append((node.name, [*_ids(named + own, families), *group, *used]))
    return carriers


def _text(lines: list[str], node: ast.stmt) -> str:
    """Source of a statement with its decorators and the comments in it."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return "\n".join(lines[first - 1 : node.end_lineno])


@cache
def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _ids(text: str, families: tuple[str, ...]) -> list[str]:
    """Ids in a text, ranges written out, each once."""
    family = "|".join(families)
    found: dict[str, None] = {}
    for match in re.finditer(rf"\b({family})-(\d\d)(?:\s+to\s+(?:(?:{family})-)?(\d\d))?", text):
        first, last = int(match[2]), int(match[3] or match[2])
        found |= {f"{match[1]}-{k:02d}": None for k in range(first, last + 1)}
    return list(found)
