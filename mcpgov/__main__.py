"""The console script, and `python -m mcpgov` for where scripts are not on the path.

It loads all the rest, which takes a moment: who ends it meanwhile is told so, and sees no trace. What is loaded stays;
to look through it for garbage meanwhile took a tenth of that moment.
"""

import gc
import sys

try:
    gc.disable()
    from mcpgov.app import main

    gc.enable()
except KeyboardInterrupt:
    sys.stderr.write("\nmcpgov was ended before it had begun.\n")
    raise SystemExit(130) from None

if __name__ == "__main__":
    main()
