"""Networks on disk as tensors only, and the reader of such files, which trusts nothing in them."""

from prunelimits.saving.archive import read_archive as read_archive
from prunelimits.saving.network import from_bytes as from_bytes
from prunelimits.saving.network import load as load
from prunelimits.saving.network import save as save
from prunelimits.saving.network import to_bytes as to_bytes
