"""The layers of the house, as pyproject.toml states them, and the rules of its files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ihc_quant"
SCRATCH_NAMES = {"utils", "util", "common", "core", "helpers", "base", "misc"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def test_layers_are_kept() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_file_keeps_the_house_rules(path: Path) -> None:
    assert path.stem not in SCRATCH_NAMES
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a module says what it is for"
    if path.name == "__init__.py" and path.parent != PACKAGE:
        assert len(tree.body) == 1, "the __init__.py of a folder holds its docstring and nothing else"
    if path.relative_to(PACKAGE).parts[0] != "cli":
        printed = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "print"]
        assert not printed, "only the command line prints"
