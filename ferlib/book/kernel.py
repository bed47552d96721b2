"""The kernel that executes a chapter: IPython's own, bound to the life of the process that started it.

``python -m ferlib.book.kernel -f CONNECTION_FILE``
"""

from __future__ import annotations

from ferlib.book.lifeline import bind_family


def main() -> None:
    """Bind this process to its parent, then serve as an IPython kernel until told to stop."""
    bind_family()
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
