"""The rules that look at one file at a time. Each gives what is wrong, in words; nothing where all is well."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from tests.house.source import Function, Source, functions, imports

Rule = Callable[[Source], Iterator[str]]

FLOORS: dict[str, float] = {
    "tariffs": 0, "proof": 0, "errors": 0,
    "types": 0.25,
    "money": 0.5,
    "ports": 1,
    "core": 2, "stats": 2, "dialects": 2,
    "sealed": 2.5,
    "providers": 3, "scorers": 3, "screens": 3, "store": 3,
    "gateway": 4, "offline": 4,
    "console": 5, "cli": 5,
    "__main__": 6,
}  # fmt: skip
PURE_FLOOR = 2  # and all below

IMPURE = frozenset(
    [
        "asyncio",
        "concurrent",
        "datetime",
        "glob",
        "http",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "queue",
        "random",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid",
        "uvloop",
        "warnings",
    ]
)
# What of an impure module is pure all the same.
PURE_PARTS = frozenset({"io.BytesIO", "io.StringIO", "urllib.parse", "datetime.timedelta"})
IMPURE_CALLS = frozenset({"open", "print", "input", "breakpoint"})

# Heavy libraries load where they are used.
HEAVY = frozenset(
    [
        "asyncpg",
        "granian",
        "huggingface_hub",
        "matplotlib",
        "model2vec",
        "nicegui",
        "numpy",
        "opentelemetry",
        "polars",
        "prometheus_client",
        "ray",
        "rich",
        "scipy",
        "sklearn",
        "typer",
        "uvloop",
        "xllamacpp",
        "genai_prices",
        "cryptography",
    ]
)
# (file, function): why it may catch everything. Workers that must outlive what they work on, and outer doors.
BROAD_EXCEPTS = {
    ("scorers/verifier.py", "run"): "a check that errs, however, must not serve a draft",
    ("gateway/evidence/gathering.py", "Gatherer._work"): "a worker loop: one sample must not end all audits",
    ("gateway/batches/direct_calls.py", "DirectCalls._ask"): "a worker loop: one line must not end all of a batch",
    ("gateway/running.py", "Reloader.follow"): "a worker loop: the gateway serves on, and can be asked again",
    ("gateway/app.py", "App.__rsgi__"): "the outer door: whatever happened, the client gets an answer",
}
ENV_READERS = frozenset({"gateway/settings.py"})
ENV_SETTERS = frozenset({"cli/door.py"})  # what libraries look for when they are loaded

MAX_LINES, MAX_INIT_LINES, MAX_FUNCTION_LINES = 400, 30, 60
MAX_COMPLEXITY, MAX_PARAMETERS, MAX_METHODS = 10, 6, 12


def floors(src: Source) -> Iterator[str]:
    """A file imports only from lower floors or its own room."""
    if src.path.name == "__init__.py" and len(src.path.parts) == 1:
        own = -1.0
    elif src.room not in FLOORS:
        yield f"{src.path}: the room {src.room!r} has no floor; add it to FLOORS and to the design"
        return
    else:
        own = FLOORS[src.room]
    for line, name in imports(src, typing_only=True):
        parts = name.split(".")
        if parts[0] != "tierwise" or len(parts) < 2 or parts[1] not in FLOORS:
            continue
        if FLOORS[parts[1]] >= own and parts[1] != src.room:
            yield f"{src.path}:{line}: floor {own} imports {parts[1]} on floor {FLOORS[parts[1]]}"


def purity(src: Source) -> Iterator[str]:
    """Floors 0 to 2 touch no clock, chance, file, network, environment or log."""
    if FLOORS.get(src.room, PURE_FLOOR + 1) > PURE_FLOOR:
        return
    named = [(line, name) for line, name in imports(src) if name.split(".")[0] in IMPURE]
    for line, name in named:
        parts = [other for at, other in named if at == line and other.startswith(f"{name}.")]
        excused = parts and all(part in PURE_PARTS or _inside(part) for part in parts)
        if not excused and not _inside(name):
            yield f"{src.path}:{line}: pure floors don't import {name}"
    for node in ast.walk(src.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"{src.path}:{node.lineno}: pure floors don't call {node.func.id}()"


def _inside(name: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in PURE_PARTS)


def sizes(src: Source) -> Iterator[str]:
    """Files, functions, classes and signatures stay small enough to be read at once."""
    lines = len(src.text.splitlines())
    most = MAX_INIT_LINES if src.path.name == "__init__.py" else MAX_LINES
    if lines > most:
        yield f"{src.path}: {lines} lines, at most {most}"
    for name, function in functions(src.tree):
        where = f"{src.path}:{function.lineno}: {name}"
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > MAX_FUNCTION_LINES:
            yield f"{where} has {length} lines, at most {MAX_FUNCTION_LINES}"
        if (paths := complexity(function)) > MAX_COMPLEXITY:
            yield f"{where} has complexity {paths}, at most {MAX_COMPLEXITY}"
        if (count := _parameters(function)) > MAX_PARAMETERS and not _is_command(src, function):
            yield f"{where} has {count} parameters, at most {MAX_PARAMETERS}"
    for node in ast.walk(src.tree):
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(part, Function) for part in node.body)
            if methods > MAX_METHODS:
                yield f"{src.path}:{node.lineno}: class {node.name} has {methods} methods, at most {MAX_METHODS}"


_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
_WITH_ELSE = (ast.For, ast.AsyncFor, ast.While, ast.Try)


def complexity(function: ast.AST) -> int:
    """McCabe's number as ruff's C901 counts it; here no `noqa` hides it."""
    count = 1
    for node in ast.walk(function):
        if isinstance(node, ast.match_case) and ast.unparse(node.pattern) == "_" and node.guard is None:
            continue
        if isinstance(node, _BRANCHES) or (isinstance(node, Function) and node is not function):
            count += 1
        if isinstance(node, _WITH_ELSE) and node.orelse:
            count += 1
    return count


def _is_command(src: Source, function: Function) -> bool:
    """A command's parameters are what a person may type, as many as the contract has."""
    called = [ast.unparse(decorator.func) for decorator in function.decorator_list if isinstance(decorator, ast.Call)]
    return src.room == "cli" and any(name.endswith(".command") for name in called)


def _parameters(function: Function) -> int:
    args = function.args
    names = [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return sum(name not in {"self", "cls"} for name in names)


def no_global(src: Source) -> Iterator[str]:
    """State has an owner: no `global`."""
    for node in ast.walk(src.tree):
        if isinstance(node, ast.Global):
            yield f"{src.path}:{node.lineno}: global {', '.join(node.names)}"


def broad_excepts(src: Source) -> Iterator[str]:
    """Only the outer doors and the workers of the allow-list catch everything."""
    allowed = {name for path, name in BROAD_EXCEPTS if path == src.path.as_posix()}
    excused = {
        node
        for name, function in functions(src.tree)
        if name in allowed
        for node in ast.walk(function)
        if isinstance(node, ast.ExceptHandler)
    }
    for node in ast.walk(src.tree):
        if isinstance(node, ast.ExceptHandler) and node not in excused and _broad(node.type):
            yield f"{src.path}:{node.lineno}: catches everything; name the errors, or give a reason in BROAD_EXCEPTS"


def _broad(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(ast.unparse(name).split(".")[-1] in {"Exception", "BaseException"} for name in names)


def late_imports(src: Source) -> Iterator[str]:
    """Imports stand at the top, except heavy libraries, and in cli.py the rooms that a command calls."""
    for name, function in functions(src.tree):
        for node in ast.walk(function):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            roots = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for root in roots:
                own = root.split(".")[0] == "tierwise" and src.room in {"cli", "__main__"}
                if root.split(".")[0] not in HEAVY and not own:
                    yield f"{src.path}:{node.lineno}: {name} imports {root} in its body"


def environment(src: Source) -> Iterator[str]:
    """The environment is read in one place."""
    if src.path.as_posix() in ENV_READERS:
        return
    attributes = [node for node in ast.walk(src.tree) if isinstance(node, ast.Attribute)]
    setting = [node.value for node in attributes if ast.unparse(node) == "os.environ.setdefault"]
    for node in attributes:
        name = "" if node in setting and src.path.as_posix() in ENV_SETTERS else ast.unparse(node)
        if name in {"os.environ", "os.getenv", "os.environb", "os.putenv"}:
            yield f"{src.path}:{node.lineno}: only {', '.join(sorted(ENV_READERS))} reads the environment"
    for line, name in imports(src):
        if name in {"os.environ", "os.getenv"}:
            yield f"{src.path}:{line}: only {', '.join(sorted(ENV_READERS))} reads the environment"


_UNSAFE = frozenset({"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"})


def dangerous(src: Source) -> Iterator[str]:
    """Nothing turns data into code: no pickle, eval, exec or shell."""
    for line, name in imports(src):
        if name.split(".")[0] in _UNSAFE:
            yield f"{src.path}:{line}: imports {name}"
    for node in ast.walk(src.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}:
            yield f"{src.path}:{node.lineno}: calls {called}()"
        for keyword in node.keywords:
            if keyword.arg == "shell" and not (
                isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            ):
                yield f"{src.path}:{node.lineno}: calls {called}() through a shell"


def header(src: Source) -> Iterator[str]:
    """A module says what it is for."""
    if not ast.get_docstring(src.tree):
        yield f"{src.path}: no docstring says what it is for"
    if src.path.name in {"utils.py", "helpers.py", "common.py", "misc.py"}:
        yield f"{src.path}: the name says nothing; one noun a file"


RULES: tuple[Rule, ...] = (
    floors, purity, sizes, no_global, broad_excepts, late_imports, environment, dangerous, header,
)  # fmt: skip
