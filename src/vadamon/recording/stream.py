"""The messages that a recording is made of: those of an Arrow IPC stream, each sealed."""

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.ipc as ipc

from vadamon.recording.encoding import SCHEMA, Row, index_to_json
from vadamon.recording.framing import BLANK_SEAL, SEAL_KEY, seal
from vadamon.recording.header import Header

FORMAT_VERSION = 2
VERSION_KEY, HEADER_KEY, INDEX_KEY = b"vadamon.version", b"vadamon.header", b"vadamon.index"


class MessageMaker:
    """Make the messages of one recording: ``schema``, which comes first, and as many batches as one likes."""

    def __init__(self, header: Header) -> None:
        metadata = {
            b"vadamon.format": b"vadamon recording",
            VERSION_KEY: b"%d" % FORMAT_VERSION,
            HEADER_KEY: header.to_json().encode(),
            SEAL_KEY: BLANK_SEAL,
        }
        self._buffer = io.BytesIO()
        # Threads would only cost memory: there is one column.
        options = ipc.IpcWriteOptions(use_threads=False)
        self._stream = ipc.new_stream(self._buffer, SCHEMA.with_metadata(metadata), options=options)
        # pyarrow writes the schema only together with a batch, so let go of an empty one.
        first = self._message([])
        self.schema = seal(first[: 8 + int.from_bytes(first[4:8], "little")])

    def batch(self, rows: Sequence[Row]) -> bytes:
        """Return the message of a batch of ``rows``."""
        return seal(self._message(rows))

    def _message(self, rows: Sequence[Row]) -> bytes:
        batch = pa.record_batch([pa.array([row.data for row in rows], pa.binary())], schema=SCHEMA)
        # Between control characters, of which JSON has none, it is found without parsing Arrow's metadata.
        index = b"\x02index=%s\x03" % index_to_json(rows)
        self._stream.write_batch(batch, custom_metadata={INDEX_KEY: index, SEAL_KEY: BLANK_SEAL})
        message = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return message
