"""`python -m mcpgov`: the console script, for where scripts are not on the path."""

from mcpgov.app import main

if __name__ == "__main__":
    main()
