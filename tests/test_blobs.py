"""Blobs are what their name says, wherever they lie, and go only when nothing names them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from moderation.blobs import BLOBS_VARIABLE, BadBlobs, BlobMissing, Blobs, Bucket, Folder, open_blobs
from moderation.collect import collect
from moderation.store import open_store

DAY = 86_400


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of S3-compatible storage on this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    import boto3

    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", s3),
        ("AWS_ALLOW_HTTP", "true"),
    ):
        monkeypatch.setenv(name, value)
    name = f"worlds-{time.time_ns()}"
    boto3.client("s3", endpoint_url=s3, region_name="us-east-1").create_bucket(Bucket=name)
    return f"s3://{name}/firstplay"


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return open_blobs(tmp_path)
    return open_blobs(tmp_path, request.getfixturevalue("bucket"))


def test_blobs_are_named_by_their_content(blobs: Blobs) -> None:
    name = blobs.put(b"hello")

    assert blobs.put(b"hello") == name
    assert blobs.read(name) == b"hello"
    assert [(one.sha256, one.size) for one in blobs.kept()] == [(name, 5)]


def test_a_missing_blob_is_said_to_be_so(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing, match="not in"):
        blobs.read("0" * 64)


def test_a_deleted_blob_is_gone_and_deleting_it_again_does_nothing(blobs: Blobs) -> None:
    name = blobs.put(b"hello")

    blobs.delete(name)
    blobs.delete(name)

    assert list(blobs.kept()) == []


def test_a_damaged_blob_is_not_read(tmp_path: Path) -> None:
    blobs = Folder(tmp_path)
    name = blobs.put(b"hello")
    blobs.place(name).write_bytes(b"other")

    with pytest.raises(BlobMissing, match="damaged"):
        blobs.read(name)


def test_a_store_keeps_its_blobs_in_the_bucket_that_is_named(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BLOBS_VARIABLE, bucket)

    store = open_store(tmp_path)
    name = store.blobs.put(b"hello")

    assert isinstance(store.blobs, Bucket)
    assert open_store(tmp_path).blobs.read(name) == b"hello"
    assert not (tmp_path / "blobs").exists()


def test_another_kind_of_address_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadBlobs, match="ftp://there"):
        open_blobs(tmp_path, "ftp://there")


def test_only_old_blobs_without_a_row_are_collected(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert isinstance(store.blobs, Folder)
    named, old, young = (store.blobs.put(text) for text in (b"named", b"old", b"young"))
    with store.writing() as tx:
        tx.submit("v1", "caves", "Caves", "a cave", {}, named, None)
    for blob in (named, old):
        os.utime(store.blobs.place(blob), (0, time.time() - 2 * DAY))

    done = collect(store)

    assert (done.removed, done.freed, done.kept) == (1, 3, 2)
    assert {one.sha256 for one in store.blobs.kept()} == {named, young}


def test_what_is_put_again_is_young_again(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert isinstance(store.blobs, Folder)
    blob = store.blobs.put(b"old")
    os.utime(store.blobs.place(blob), (0, time.time() - 2 * DAY))

    store.blobs.put(b"old")

    assert collect(store).removed == 0
