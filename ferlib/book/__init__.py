"""The book: chapters with checked parameters, executed, recorded and rendered.

In a chapter: ``chapter = book.open("training", globals())``, then ``chapter.uses``, ``chapter.record``,
``chapter.close``.  On a command line: ``ferlib book build`` and ``ferlib book params``.
"""

from ferlib.book.provenance import numbers_of_record
from ferlib.book.record import Chapter
from ferlib.book.record import open_chapter as open

__all__ = ["Chapter", "numbers_of_record", "open"]
