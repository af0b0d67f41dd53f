"""Keeping a run: what it belongs to, who may write to it, and files written whole or not at all.

A run is kept by three kinds of file (a database, tensors, a table), and all of them rely on the
same four things: a fingerprint of everything that decides the result, a comparison that names what
differs, a lock for the one that writes, and writing that an interruption cannot leave half done.
"""

from prunelimits.resuming.errors import StoreError as StoreError
from prunelimits.resuming.fingerprint import check_same as check_same
from prunelimits.resuming.fingerprint import digest as digest
from prunelimits.resuming.lock import WriterLock as WriterLock
from prunelimits.resuming.source import source_of as source_of
from prunelimits.resuming.whole import write_whole as write_whole
