"""What an agent file finds around it: the path, the modules and the arguments of `python FILE`.

A worker is started as `python -P -m myagent.worker FILE`, with the SDK's folder
in `PYTHONPATH`. `clear` takes that back, and `enter` goes to the file's folder
once the worker's own modules are imported.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import myagent
from myagent.loading import is_name_taken
from myagent.worker.neighbours import Neighbours

_NEEDED_LATER = (
    "concurrent.futures.thread",
    "encodings.idna",
    "linecache",
    "traceback",
)
"""Imported ahead, so that no neighbour of the file is taken for these, or for what they import."""


def clear() -> None:
    """Leaves of `sys.path` and of `os.environ` what `python FILE` would find, without its folder.

    What `PYTHONPATH` and Python itself put in front is gone; if the SDK is
    installed nowhere else, the folder that it came from is the last. To be
    called once, first of all.
    """
    if not sys.flags.safe_path:
        del sys.path[0]  # The folder that `-m` was typed in, or a script's.
    given = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
    added = {os.path.abspath(entry) for entry in given if entry}
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) not in added]
    if not _is_sdk_installed():
        sys.path.append(str(Path(myagent.__path__[0]).parent))


def enter(file: Path) -> None:
    """Makes the folder of an agent file, which is about to be loaded, the first on `sys.path`.

    From now on its neighbours are what their names import, although the worker
    has imported other modules of these names; the SDK itself still gets those.
    Processes that the agent spawns can import the file, whatever it is called.
    To be called once, after the last import of the worker's own.
    """
    for name in _NEEDED_LATER:
        import_module(name)
    resolved = file.expanduser().resolve()
    sys.argv[:] = [str(file)]
    sys.path.insert(0, str(resolved.parent))
    Neighbours(resolved).move_in()
    if is_name_taken(resolved):
        # `multiprocessing` runs this file in its children, as that of any program.
        main = sys.modules["__main__"]
        main.__file__, main.__spec__ = str(resolved), None


def _is_sdk_installed() -> bool:
    return any(finder.find_spec("myagent", None) for finder in sys.meta_path)
