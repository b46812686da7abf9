"""A model hub: the folder of a saved model, elsewhere. Which hub, and who asks, is set as ``huggingface_hub`` says."""

from __future__ import annotations

from pathlib import Path

from remodal.errors import in_one_line

FILES = ("config.json", "tensors/*.safetensors", "*.safetensors", "README.md", "versions/*.json")
"""What is taken to a hub and fetched from it; nothing else of a folder is."""


def fetch(name: str) -> Path:
    """The folder of the model ``owner/name``, in the hub's cache. RemodalError where it can't be had."""
    from huggingface_hub import snapshot_download

    with in_one_line(f"{name}: no such folder, and not to be had from the hub"):
        return Path(snapshot_download(name, allow_patterns=list(FILES)))


def push(folder: Path, name: str, *, private: bool) -> str:
    """Take a saved model to the hub as ``owner/name``; its address there. RemodalError where that fails."""
    from huggingface_hub import HfApi

    hub = HfApi()
    with in_one_line(f"{name}: can't be taken to the hub"):
        address = str(hub.create_repo(name, private=private, exist_ok=True))
        hub.upload_folder(
            repo_id=name, folder_path=folder, allow_patterns=list(FILES), commit_message="A model of remodal's"
        )
    return address
