"""The archives that `torch.save` writes, read with every checksum and without trust.

Such a file is a zip archive: `NAME/data.pkl` describes the content as a pickle, and `NAME/data/0`,
`NAME/data/1`, ... hold the numbers of the tensors. `torch.load` does not look at the archive's
checksums, and it makes room for whatever the description says before it finds that the file holds
less. Both matter for files from strangers and for files on disks that age.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import PurePosixPath

from prunelimits.arguments import checked_instance, checked_text
from prunelimits.saving.description import DescribedContent


def read_archive(content: bytes, source: str) -> object:
    """What `torch.save` wrote: tensors, numbers, texts and None in dicts, lists and tuples.

    Every checksum is verified before anything is built, no code in the file is ever executed, and
    the tensors together are no larger than the file. They are on the CPU.

    Args:
        content: The bytes of the file.
        source: What error messages call the file.

    Raises:
        ValueError: If it is damaged, was not written by `torch.save` (since version 1.6), or holds
            something else.
        TypeError: If `content` is not bytes or `source` no text.

    Examples:
        >>> import torch
        >>> buffer = io.BytesIO()
        >>> torch.save({"x": torch.ones(2), "n": 3}, buffer)
        >>> read_archive(buffer.getvalue(), "x.pt")
        {'x': tensor([1., 1.]), 'n': 3}
        >>> damaged = buffer.getvalue().replace(torch.ones(2).numpy().tobytes(), bytes(8))
        >>> read_archive(damaged, "x.pt")
        Traceback (most recent call last):
        ...
        ValueError: x.pt is damaged or no file of torch.save: Bad CRC-32 for file 'archive/data/0'
    """
    checked_instance("content", content, bytes, "bytes")
    checked_text("source", source, absent=False)
    # Damage surfaces as any exception of zipfile and what it uses, a hostile description as any of
    # torch. The caller gets a ValueError for all of them.
    try:
        entries = _entries(content)
        descriptions = [name for name in entries if name.name == "data.pkl"]
        if len(descriptions) != 1:
            raise ValueError(f"it has {len(descriptions)} files data.pkl, not one")
        (description,) = descriptions
        folder = description.parent
        byteorder = entries.get(folder / "byteorder", sys.byteorder.encode())
        if byteorder != sys.byteorder.encode():
            raise ValueError(f"its byte order is {byteorder!r}, this machine's {sys.byteorder}")
        return DescribedContent(
            entries[description],
            {name.name: data for name, data in entries.items() if name.parent == folder / "data"},
        ).read()
    except Exception as error:
        raise ValueError(f"{source} is damaged or no file of torch.save: {error}") from error


def _entries(content: bytes) -> dict[PurePosixPath, bytes]:
    """Everything in a zip archive that is neither compressed nor larger than it should be."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        names = {PurePosixPath(info.filename) for info in infos}
        if len(names) < len(infos):
            raise ValueError("it holds one name twice")
        if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
            raise ValueError("it holds compressed or encrypted data, which torch.save never writes")
        # Else many entries could share the same bytes, and together fill the memory.
        if sum(info.file_size for info in infos) > len(content):
            raise ValueError("its parts are together larger than the file")
        # Reading compares every part with its checksum.
        return {PurePosixPath(info.filename): archive.read(info) for info in infos}
