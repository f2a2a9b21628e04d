"""The commands."""

from __future__ import annotations

import importlib.util

import click

from triojob import __version__

from .demo import DemoError, Options, run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Call Gradio apps from Trio, as jobs in a group.

    Start with: triojob demo
    """


@cli.command()
@click.option(
    "--jobs",
    type=click.IntRange(1, 200),
    default=12,
    show_default=True,
    help="How many jobs the fan-out has.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="How many of them are on their way at once.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port that the app listens on, on this machine only.  [default: a free one]",
)
@click.option("--plain", is_flag=True, help="Plain lines, as when the output is not a terminal.")
@click.pass_context
def demo(context: click.Context, jobs: int, limit: int, port: int, *, plain: bool) -> None:
    """See what triojob does, on a real Gradio app on this machine.

    Starts the app in a process of its own, calls it in several ways (many jobs at once, a stream,
    a cancellation, a timeout, a failure), and ends it.
    Takes about 20 seconds, needs no network and downloads nothing.
    Ctrl-C ends it at any time.
    """
    if importlib.util.find_spec("gradio") is None:
        raise click.ClickException(
            "the demo needs gradio, which is not installed; "
            "get it with: pip install 'triojob[demo]'"
        )
    try:
        code = run(Options(jobs=jobs, limit=limit, port=port, plain=plain))
    except DemoError as exc:
        raise click.ClickException(str(exc)) from None
    except KeyboardInterrupt:
        # Before Trio ran, or a second time.
        code = 130
    context.exit(code)
