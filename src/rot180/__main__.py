"""`python -m rot180` is the command `rot180`."""

from rot180.cli import main

if __name__ == "__main__":
    main()
