"""`python -m pgcgan`: the command line, for where the program `pgcgan` is not on the path."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
