"""Networks as ONNX files: what a runtime of others computes is what numpy computes here."""

import json

import numpy as np
import pytest
from edge_agents import checkpoint as cp
from edge_agents.forward_numpy import KINDS
from edge_agents.spec import KIND_NAMES, NetworkSpec, shapes

from edge_gym.cli import export as command
from edge_gym.cli.main import main

FEATURES = ["router_cost", "busy", "is_decline", "backlog", "network"]


def saved(path, kind, columns=1):
    """A checkpoint that knows some of the task's columns, and another task's where rows have several choices."""
    about = {"task": "routing", "features": FEATURES}
    if columns > 1:
        about = {"task": "metacontrol", "features": ["busy", "gate", "is_router", "backlog", "alive"]}
    rows = 7 if kind == "mlp" else 0
    spec = NetworkSpec(kind=kind, n_features=5, hidden=8, columns=columns, anchor=(0, 3), anchor_scale=3.0, rows=rows)
    rng = np.random.default_rng(0)
    tensors = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes(spec).items()}
    checkpoint = cp.Checkpoint(spec=spec, tensors=tensors, about=about)
    cp.write(path, checkpoint)
    return checkpoint


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("kind", KIND_NAMES)
def test_onnx_says_the_same(kind, columns, tmp_path, capsys):
    """Other numbers of worlds and nodes than those of the example that was traced; two decisions in a row."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    saved(tmp_path / "x.safetensors", kind, columns)
    assert main(["export", str(tmp_path / "x.safetensors"), str(tmp_path / "x.onnx")]) == 0
    assert "x.onnx" in capsys.readouterr().out
    session = runtime.InferenceSession(tmp_path / "x.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map["edge_gym"])
    found = cp.load(tmp_path / "x.safetensors")
    assert about == found.about
    width, rng = session.get_inputs()[0].shape[2], np.random.default_rng(1)
    mine = KINDS[kind](found.spec, found.tensors, found.columns, width)
    for n_worlds, n_rows in ((1, 7), (6, 7), (1, 7) if kind == "mlp" else (4, 17)):
        kept = np.zeros((n_worlds, n_rows, 8), np.float32)
        memory = kept.copy()
        for _ in range(2):
            given = {
                "obs": rng.random((n_worlds, n_rows, width), dtype=np.float32),
                "legal": rng.random((n_worlds, n_rows * columns)) < 0.5,
                "links": rng.random((n_worlds, n_rows, n_rows), dtype=np.float32),
                "memory": memory,
            }
            given["legal"][:, -1] = True
            theirs = session.run(None, {put.name: given[put.name] for put in session.get_inputs()})
            wanted, _ = mine.logits(given["obs"], given["legal"], given["links"], kept)
            assert np.allclose(theirs[0], wanted, rtol=1e-4, atol=1e-4)
            assert (theirs[0].argmax(1) == wanted.argmax(1)).all()
            if kind == "recurrent":
                memory = theirs[1]
                assert np.allclose(memory, kept, atol=1e-5)


def test_what_is_missing_is_said(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    saved(tmp_path / "x.safetensors", "deepsets")
    arguments = ["export", str(tmp_path / "x.safetensors"), str(tmp_path / "x.onnx")]
    monkeypatch.setattr("edge_agents.onnx_export.NEEDS", ("onnx_that_nobody_has",))
    assert main(arguments) == 2
    assert "onnx_that_nobody_has" in capsys.readouterr().err
    monkeypatch.setattr(command, "import_module", lambda name: __import__("torch_that_nobody_has"))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "torch_that_nobody_has" in error and "rl,onnx" in error and not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("out", ["x.pb", "old.onnx", "nowhere/x.onnx", ""])
def test_where_it_cannot_be_written(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.onnx").write_text("old")
    saved(tmp_path / "x.safetensors", "deepsets")
    assert main(["export", "x.safetensors", out]) == 2
    assert "a new file that ends with .onnx" in capsys.readouterr().err
    assert (tmp_path / "old.onnx").read_text() == "old"
