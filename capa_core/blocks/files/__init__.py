"""Files: contents of any size by key, with metadata, ranges, listings and conditional writes."""

from capa_core.block import Block, Closing
from capa_core.blocks.files._portable import Files
from capa_core.blocks.files._reader import FileReader
from capa_core.blocks.files._source import Content
from capa_core.blocks.files.driver import (
    FileEntry,
    FileInfo,
    FilePage,
    FilePut,
    FilesDriver,
    FilesFeature,
    FilesLimits,
    FilesStatus,
    FileStream,
)

__all__ = [
    "BLOCK",
    "Content",
    "FileEntry",
    "FileInfo",
    "FilePage",
    "FilePut",
    "FileReader",
    "FileStream",
    "Files",
    "FilesDriver",
    "FilesFeature",
    "FilesLimits",
    "FilesStatus",
]

BLOCK = Block(
    name="files",
    portable=Files,
    driver=FilesDriver,
    features=FilesFeature,
    embedded="local",
    server="s3",
    server_settings=(("bucket", "my-files"),),
    closing=Closing.STORE,
    face=("Files",),
)
