"""The console script, and `python -m mcpgov` for where scripts are not on the path.

It loads all the rest, which takes a moment: who ends it meanwhile is told so, and sees no trace.
"""

import sys

try:
    from mcpgov.app import main
except KeyboardInterrupt:
    sys.stderr.write("\nmcpgov was ended before it had begun.\n")
    raise SystemExit(130) from None

if __name__ == "__main__":
    main()
