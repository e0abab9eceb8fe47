"""``python -m releasing``: the checks in their order; ``scripts/release-check`` sets up what they need."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import checks

Check = Callable[[checks.Release], list[str]]

QUICK: list[Check] = [checks.clean, checks.version, checks.changelog, checks.pythons]
FILES: list[Check] = [checks.build, checks.metadata, checks.from_source, checks.tested, checks.without_corosync]


def main() -> int:
    """Run the checks; return 1 when one failed."""
    parser = argparse.ArgumentParser(prog="scripts/release-check", description="Is this commit ready to be released?")
    parser.add_argument("--quick", action="store_true", help="only what needs no build: seconds instead of minutes")
    parser.add_argument(
        "--links", action="store_true", help="also ask every page that the docs point to; needs the web"
    )
    arguments = parser.parse_args()
    chosen = [*QUICK, *([] if arguments.quick else [*FILES, checks.docs])]
    chosen += [checks.external_links] if arguments.links else []
    # The tools of this environment are meant, whoever's PATH this is.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="aiocpg-release-") as directory:
        release = checks.Release(Path.cwd(), Path(directory) / "dist", Path(directory) / "work")
        release.dist.mkdir()
        release.work.mkdir()
        failed = [check for check in chosen if not _passes(check, release)]
        if not failed and not arguments.quick:
            checks.keep(release)
    print(_verdict(failed, release.version, quick=arguments.quick))
    return 1 if failed else 0


def _passes(check: Check, release: checks.Release) -> bool:
    is_in_vain = check in FILES[1:] and not any(release.dist.iterdir())
    problems = ["nothing was built"] if is_in_vain else check(release)
    summary = (check.__doc__ or "").splitlines()[0]
    print(f"{'NO' if problems else 'ok'}  {summary}", flush=True)
    for problem in problems:
        print("    " + problem.rstrip().replace("\n", "\n    "), flush=True)
    return not problems


def _verdict(failed: list[Check], version: str, *, quick: bool) -> str:
    if failed:
        return f"aiocpg {version} is not ready: {', '.join(check.__name__ for check in failed)}"
    if quick:
        return f"aiocpg {version}: nothing found so far; without --quick the files are made and tried"
    return f"aiocpg {version} is ready: upload dist/, and tag this commit v{version}"


sys.exit(main())
