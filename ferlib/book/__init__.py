"""The book: chapters with checked parameters, executed, recorded and rendered.

In a chapter: ``chapter = book.open("training", globals())``, then ``chapter.uses``, ``chapter.record``,
``chapter.close``.  On a command line: ``ferlib book build`` and ``ferlib book params``.
"""

from ferlib.book.provenance import numbers_of_record, of_record
from ferlib.book.record import Chapter
from ferlib.book.record import open_chapter as open
from ferlib.book.sheets import Sheets

__all__ = ["Chapter", "Sheets", "numbers_of_record", "of_record", "open"]
