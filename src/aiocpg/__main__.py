"""``python -m aiocpg``: the command line, as the script ``aiocpg`` has it."""

from aiocpg.cli import main

main()
