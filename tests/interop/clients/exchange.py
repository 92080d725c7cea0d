"""Does one token exchange with one independent library: ``exchange.py MODULE < case.json > answer.json``.

Runs in the virtual environment of those libraries, which knows nothing of remit. Each module beside this one has
``exchange(case)``; it returns the library's own view of the answer, or of the refusal as ``{"error": …}``.
"""

from __future__ import annotations

import importlib
import json
import sys

if __name__ == "__main__":
    library = importlib.import_module(sys.argv[1])
    json.dump(library.exchange(json.load(sys.stdin)), sys.stdout)
