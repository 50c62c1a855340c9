"""`python -m mcpgov` ends as a program should, also while it loads."""

import subprocess
import sys

INTERRUPTED = """\
import runpy, sys

class Interrupts:
    @staticmethod
    def find_spec(name, *_):
        if name == "mcpgov.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts)
runpy.run_module("mcpgov", run_name="__main__")
"""


def test_who_ends_it_while_it_loads_sees_one_line_and_no_trace() -> None:
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.strip() == "mcpgov was ended before it had begun."
