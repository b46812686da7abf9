"""What can be set of a server, and its limits."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from remodal.settings import Settings


class ServeSettings(Settings):
    """Settings of a server; every limit holds before anything is decoded."""

    prefix = "serve."

    upload_bytes: int = Field(64 * 2**20, ge=1, description="bytes of one request, at most")
    files: int = Field(64, ge=1, description="files and texts of one request, at most")
    pixels: int = Field(10**9, ge=1, description="pixels of one request's files, at most; of a video, of eight frames")
    decode_seconds: float = Field(20.0, gt=0, description="that one file may take to decode")
    decoders: int = Field(2, ge=1, description="processes that decode")
    batch: int = Field(32, ge=1, description="media that are answered together, at most")
    waiting: int = Field(
        1024, ge=1, validate_default=True, description="media of all clients that may wait for their answer"
    )
    jobs: int = Field(8, ge=1, description="updates that may wait for theirs")
    versions: int | None = Field(None, ge=1, description="of the model that stay after an update; all where not set")
    connections: int = Field(512, ge=16, description="connections that may be open, at most")
    public_url: str | None = Field(
        None, description="under which a proxy shows the server, such as https://models.example.org"
    )

    @field_validator("waiting")
    @classmethod
    def _holds_two_requests(cls, waiting: int, known: ValidationInfo) -> int:
        """One request takes half of the free places at most, and must be let in where all are free."""
        if waiting < 2 * known.data.get("files", 0):
            raise PydanticCustomError("ServeSettings", "twice serve.files or more")
        return waiting
