"""The house: floors import downwards only, no floor has a cycle, every folder says what it is."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "rot180"
FLOORS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"][
    "rot180"
]["floors"]
EVERYWHERE = {"errors", "_version"}


def module_name(path: Path) -> str:
    parts = ("rot180", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(module: str, *, lazy: bool) -> set[str]:
    """Modules of ours that a module imports, the implicit import of parent packages included."""
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    nodes = ast.walk(tree) if lazy else iter(_at_import(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import in line {node.lineno}"
            base = node.module or ""
            found |= {
                f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base
                for alias in node.names
            }
    ours = {name for name in found if name.split(".")[0] == "rot180"}
    own_parents = {".".join(module.split(".")[:i]) for i in range(1, module.count(".") + 1)}
    parents = {".".join(n.split(".")[:i]) for n in ours for i in range(1, n.count(".") + 1)}
    return (ours | parents) - own_parents - {module}


def _at_import(tree: ast.AST) -> list[ast.AST]:
    """Nodes that run when the module is imported: not in functions, not for type checkers only."""
    found: list[ast.AST] = []
    stack = list(ast.iter_child_nodes(tree))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            stack.extend(node.orelse)
            continue
        found.append(node)
        stack.extend(ast.iter_child_nodes(node))
    return found


def floor_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "rot180"


@pytest.mark.parametrize("module", [m for m in MODULES if floor_of(m) in FLOORS])
def test_imports_go_downwards(module: str) -> None:
    floor = floor_of(module)
    allowed = {*FLOORS[floor], floor, *EVERYWHERE}
    for name in imports(module, lazy=True):
        assert name != "rot180", f"{module} imports the root from inside"
        assert "*" in allowed or floor_of(name) in allowed, f"{module} imports {name}"


def test_every_folder_is_a_floor() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(FLOORS)


def test_no_import_cycle() -> None:
    graph = {module: imports(module, lazy=False) & set(MODULES) for module in MODULES}
    done: set[str] = set()
    while ready := [m for m in graph if m not in done and graph[m] <= done]:
        done |= set(ready)
    assert not set(graph) - done, "modules in a cycle, or above one"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    assert ast.get_docstring(tree), f"{module} has no docstring"


@pytest.mark.parametrize("floor", FLOORS)
def test_every_floor_has_a_surface(floor: str) -> None:
    tree = ast.parse((PACKAGE / floor / "__init__.py").read_text("utf-8"))
    targets = [n.targets[0] for n in tree.body if isinstance(n, ast.Assign)]
    assert "__all__" in [target.id for target in targets if isinstance(target, ast.Name)]


def test_windows_know_no_numpy() -> None:
    for module, path in MODULES.items():
        if floor_of(module) == "window":
            assert "numpy" not in path.read_text("utf-8").replace("no NumPy", "")
