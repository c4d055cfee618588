"""Who may import whom (docs/design.md, section 2), read from the syntax tree; and what `import edge_gym` costs."""

import ast
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "edge_gym": ROOT / "edge_gym",
    "edge_baselines": ROOT / "baselines" / "edge_baselines",
    "edge_agents": ROOT / "agents" / "edge_agents",
}
PACKAGE_NAMES = tuple(PACKAGES)
LEARNING = {"torch", "stable_baselines3", "sb3_contrib", "safetensors", "tensorboard"}
# They make the kernel's tables; nothing compiled imports them.
BUILDERS = ("edge_gym.kernel.build", "edge_gym.kernel.build_agents", "edge_gym.kernel.phrases")
HEAVY = ("numba", "scipy", "torch", "matplotlib", "networkx", "pettingzoo", "yaml", "edge_baselines", "edge_agents")


def _module(package: str, path: Path) -> str:
    parts = path.relative_to(PACKAGES[package]).with_suffix("").parts
    return ".".join([package, *(part for part in parts if part != "__init__")])


def imports_of(source: str, module: str, is_package: bool = False) -> set[str]:
    """Every module or attribute that a source imports, by absolute name, wherever in the file it does so."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                up = parts[: len(parts) - node.level + is_package]
                base = ".".join([*up, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def _all() -> dict[str, set[str]]:
    """Module -> what it imports."""
    return {
        _module(package, path): imports_of(path.read_text(), _module(package, path), path.name == "__init__.py")
        for package, folder in PACKAGES.items()
        for path in sorted(folder.rglob("*.py"))
    }


IMPORTS = _all()


def under(name: str, *prefixes: str) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def importers(of: tuple[str, ...], among: tuple[str, ...]) -> list[str]:
    """ "module imports name" for everything under `among` that imports something under `of`."""
    return [
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        if under(module, *among)
        for name in sorted(names)
        if under(name, *of)
    ]


def test_imports_the_reader_of_the_syntax_tree_sees_every_form():
    source = (
        "import a.b\nfrom c import d\nfrom . import e\nfrom ..f import g\ndef h():\n    import i\n    from .j import k"
    )
    assert imports_of(source, "p.q.r") == {"a.b", "c.d", "p.q.e", "p.f.g", "i", "p.q.j.k"}
    assert imports_of("from .e import x\nfrom . import y", "p.q", is_package=True) == {"p.q.e.x", "p.q.y"}
    assert len(IMPORTS) > 40, "the packages were not found"
    assert all(f"{package}" in IMPORTS for package in PACKAGES)


@pytest.mark.parametrize(
    ("among", "of"),
    [
        ("edge_gym", "edge_baselines"),
        ("edge_gym", "edge_agents"),
        ("edge_baselines", "edge_agents"),
        ("edge_agents", "edge_baselines"),
    ],
)
def test_imports_packages_depend_on_edge_gym_alone(among, of):
    assert importers((of,), (among,)) == []


def test_imports_learning_libraries_only_in_edge_agents():
    assert importers(tuple(LEARNING), ("edge_gym", "edge_baselines")) == []


def test_imports_ray_only_in_its_engine():
    assert {line.partition(" ")[0] for line in importers(("ray",), PACKAGE_NAMES)} == {"edge_gym.evaluation.engine_ray"}


def test_imports_network_libraries_only_where_language_models_are_asked():
    def only_in(names, *modules):
        assert importers(names, PACKAGE_NAMES) == importers(names, modules) != []

    only_in(("pydantic",), "edge_baselines.llm")
    only_in(("openai", "httpx2"), "edge_baselines.llm.client", "edge_baselines.llm.transport")
    only_in(("http", "socketserver"), "edge_baselines.llm.stub.server")
    only_in(("agentscope",), "edge_baselines.llm.agentscope_adapter", "edge_baselines.testbed.agent")
    elsewhere = ("httpx", "requests", "aiohttp", "urllib3", "urllib.request", "ftplib", "smtplib", "websockets")
    assert importers(elsewhere, PACKAGE_NAMES) == []


def test_imports_the_language_model_side_knows_nothing_of_worlds():
    known = ("edge_gym.errors", "edge_gym.fields", "edge_gym.files", "edge_gym.scenario.parse", "edge_baselines.llm")
    heavy = ("edge_gym", "edge_baselines", "numpy", "gymnasium", "pettingzoo", "numba")
    lines = importers(heavy, ("edge_baselines.llm",))
    assert [line for line in lines if not under(line.split()[2], *known)] == []


def test_imports_the_baselines_work_without_the_extra_for_language_models():
    needs = (".llm.arguments", ".llm.transport", ".llm.stub.in_process")
    names = [name for name in IMPORTS if under(name, "edge_baselines") and not name.endswith(needs)]
    code = "import sys\nfor name in ('openai', 'httpx2', 'pydantic', 'agentscope'): sys.modules[name] = None\n"
    code += "".join(f"import {name}\n" for name in names)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]


def test_imports_kernel_knows_numpy_and_numba_only():
    allowed = {*sys.stdlib_module_names, "numpy", "numba"}
    wrong = [
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        if under(module, "edge_gym.kernel") and module not in BUILDERS
        for name in sorted(names)
        if name.partition(".")[0] not in allowed and not under(name, "edge_gym.kernel")
    ]
    assert wrong == []


def test_imports_kernel_does_no_input_or_output():
    allowed = {"collections.abc", "math", "typing", "numpy", "numba", "__future__", "edge_gym.kernel"}
    # The decorator finds a folder for the cache; nothing else in the kernel touches files, clocks or global numbers.
    wrong = [
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        if under(module, "edge_gym.kernel") and module not in ("edge_gym.kernel._jit", *BUILDERS)
        for name in sorted(names)
        if not under(name, *allowed)
    ]
    assert wrong == []


def test_imports_kernel_build_alone_knows_scenarios():
    events = ("edge_gym.events.phrases", "edge_gym.events.parser", "edge_gym.kernel", "numpy")
    scenario = (
        "edge_gym.scenario",
        "edge_gym.network.topology",
        "edge_gym.traces",
        "edge_gym.errors",
        "numba",
        "scipy",
    )
    for module, allowed in zip(
        BUILDERS, ((*events, *scenario), scenario + ("edge_gym.kernel", "numpy"), events), strict=True
    ):
        wrong = [
            name
            for name in sorted(IMPORTS[module])
            if not under(name, *allowed) and name.partition(".")[0] not in sys.stdlib_module_names
        ]
        assert wrong == [], module
    assert importers(BUILDERS, ("edge_gym.kernel",)) == [
        "edge_gym.kernel.build imports edge_gym.kernel.build_agents.build_agents",
        "edge_gym.kernel.build imports edge_gym.kernel.phrases.build_phrases",
    ]


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("edge_gym.kernel", ("edge_gym.tasks", "edge_gym.envs")),
        ("edge_gym.tasks", ("edge_gym.envs",)),
        (
            "edge_gym.scenario",
            ("edge_gym.kernel", "edge_gym.tasks", "edge_gym.envs"),
        ),
        ("edge_gym.scenario.definition", ("edge_gym.scenario.presets",)),
        ("edge_gym.events", ("edge_gym.scenario", "edge_gym.kernel", "edge_gym.tasks", "edge_gym.envs")),
    ],
)
def test_imports_lower_layers_do_not_know_higher_ones(lower, higher):
    assert importers(higher, (lower,)) == []


def test_imports_environments_do_not_know_who_uses_them():
    users = ("evaluation", "cli", "policy", "privileged", "checks")
    below = ("edge_gym.envs", "edge_gym.tasks", "edge_gym.kernel", "edge_gym.scenario", "edge_gym.network")
    assert importers(tuple(f"edge_gym.{user}" for user in users), below) == []


def test_imports_kernel_and_tasks_do_not_know_gymnasium_wrappers_or_registries():
    assert importers(("gymnasium", "pettingzoo"), ("edge_gym.kernel",)) == []
    outside_spaces = [
        line for line in importers(("gymnasium",), ("edge_gym.tasks",)) if "gymnasium.spaces." not in line
    ]
    assert outside_spaces == []


def test_imports_no_cycle_at_import_time():
    """Top-level imports only: a function may import late what would be a cycle early."""
    graph = {}
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*.py"):
            tree = ast.parse(path.read_text())
            tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
            module = _module(package, path)
            names = imports_of(ast.unparse(tree), module, path.name == "__init__.py")
            # `from package import module` names a module; `from module import thing` names its parent.
            graph[module] = {n if n in IMPORTS else n.rpartition(".")[0] for n in names} & set(IMPORTS) - {module}
    while graph:
        free = {module for module, needs in graph.items() if not needs & set(graph)}
        assert free, f"a cycle among {sorted(graph)}"
        graph = {module: needs for module, needs in graph.items() if module not in free}


def test_imports_edge_gym_loads_nothing_heavy_and_compiles_nothing():
    code = f"import sys, edge_gym; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_imports_edge_gym_is_fast():
    def once() -> float:  # processor time, so that a busy machine does not count
        code = "import time; t = time.process_time(); import edge_gym; print(time.process_time() - t)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        return float(done.stdout)

    assert statistics.median(once() for _ in range(5)) < 1.0


def test_imports_every_module_can_be_imported_first():
    """A module that only works after another has been imported hides a cycle."""
    extras = [name for name in ("openai", "httpx2", "pydantic", "agentscope", "ray") if find_spec(name) is None]
    names = [name for name in IMPORTS if not under(name, "edge_agents") and not name.endswith("__main__")]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    for loaded in [m for m in sys.modules if m.partition('.')[0] in ('edge_gym', 'edge_baselines')]:\n"
        "        if not loaded.startswith('edge_gym.kernel'): del sys.modules[loaded]\n"
        "    try: importlib.import_module(name)\n"
        f"    except ModuleNotFoundError as error: assert error.name in {extras!r}, name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
