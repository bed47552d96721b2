"""Corpora of faces: read native layouts, check them, write and open stores.

``load`` opens a prepared corpus, ``ensure`` makes a drawn one first where it is missing;
``check`` and ``prepare`` read a native layout through the module of that corpus.
"""

from ferlib.datasets.base import FaceSet, load
from ferlib.datasets.report import Finding, Report
from ferlib.datasets.store import open_store, read_manifest, write_store

__all__ = ["FaceSet", "Finding", "Report", "load", "open_store", "read_manifest", "write_store"]
