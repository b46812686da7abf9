"""``remodal export``."""

from __future__ import annotations

from pathlib import Path

from remodal.cli.conftest import Cli


def test_a_saved_model_is_written_into_a_folder_of_its_name(cli: Cli, saved: Path, tmp_path: Path) -> None:
    done = cli("export", saved)
    assert done.exit_code == 0, done.output
    assert "vision.onnx" in done.output
    assert {"README.md", "answer.py", "index.html", "text.onnx", "tokenizer.json", "vision.onnx"} == {
        file.name for file in (tmp_path / "model-onnx").iterdir()
    }


def test_mistakes_are_told_in_one_line(cli: Cli, saved: Path) -> None:
    for arguments, told in (
        (("export", "nowhere"), "nowhere: no such folder"),
        (("export", saved, "--to", "tflite"), "unknown format 'tflite'"),
        (("export", saved, "--into", saved), "holds a model already"),
    ):
        done = cli(*arguments)
        assert done.exit_code == 2
        assert told in " ".join(done.output.split())
