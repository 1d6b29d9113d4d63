"""Pages of samples: joined they are the list, whatever their size and budget, and no forged cursor opens one."""

import random
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageyard.manifests import Dataset, Sample, Version
from imageyard.manifests.chunks import Chunks
from imageyard.manifests.errors import RecipeError
from imageyard.manifests.version import ROLES, Role
from imageyard.service.sample_pages import Asked, CursorError, Page, page
from versions import committed

CONDITIONS = (None, "class == cat", "caption garden and not class == dog", "chars > 8", "class == nothing")


def made(count: int, seed: int) -> tuple[Dataset, Version]:
    drawn = random.Random(seed)
    dataset = Dataset.open(f"memory://{uuid.uuid4().hex}")
    placed: list[tuple[Role, Sample]] = []
    for key in sorted(f"{drawn.getrandbits(256):064x}" for _ in range(count)):
        label = {"type": "groundtruth/image-classification", "class-name": drawn.choice(["cat", "dog", "ünïcode 猫"])}
        members: dict[str, Any] = {"content-sha256": key, "label": 0, "label-metadata": label}
        if drawn.random() < 0.5:
            members["caption"] = " ".join(["garden"] * drawn.randrange(40))
        placed.append((drawn.choice(ROLES), Sample.of(f"s3://b/{key}.jpg", **members)))
    return dataset, committed(dataset, {sample.key: (role, sample) for role, sample in placed})


roles_st = st.lists(st.sampled_from(ROLES), min_size=1, max_size=5, unique=True).map(tuple)


@given(
    st.integers(0, 120),
    st.integers(0, 2**16),
    roles_st,
    st.sampled_from(CONDITIONS),
    st.integers(1, 50),
    st.integers(1, 20_000),
    st.integers(200, 3_000),
)
@settings(max_examples=60, deadline=None)
def test_pages_joined_are_the_whole_list(
    count: int, seed: int, roles: tuple[Role, ...], where: str | None, most: int, budget: int, size: int
) -> None:
    dataset, version = made(count, seed)
    asked = Asked(roles, where)
    matches = asked.matches() or (lambda sample: True)
    whole = [(role, s) for role in roles for s in dataset.read(version, role) if matches(s)]
    found: list[tuple[Role, Sample]] = []
    cursor: str | None = None
    chunks = Chunks(4 * size, size=size)
    pages = 0
    while True:
        one = page(dataset.store, version, asked, cursor=cursor, most=most, chunks=chunks, budget=budget)
        assert len(one.samples) <= most
        found += one.samples
        pages += 1
        assert pages <= count + 1
        cursor = one.following
        if cursor is None:
            break
    assert found == whole


@pytest.fixture(scope="module")
def known() -> tuple[Dataset, Version, Page]:
    dataset, version = made(60, 1)
    return dataset, version, page(dataset.store, version, Asked(ROLES), cursor=None, most=7, chunks=Chunks())


def test_a_page_looks_at_no_more_than_its_budget(known: tuple[Dataset, Version, Page]) -> None:
    dataset, version, _ = known
    none = Asked(ROLES, "class == nothing")
    one = page(dataset.store, version, none, cursor=None, most=5, chunks=Chunks(), budget=500)
    assert one.samples == ()
    assert one.following is not None
    assert int(one.following.split(".")[1]) < 2_000


@pytest.mark.parametrize(
    "forge",
    [
        lambda cursor: "",
        lambda cursor: "0.0",
        lambda cursor: cursor + "0",
        lambda cursor: cursor.replace(".", "-"),
        lambda cursor: "9" + cursor[1:],
        lambda cursor: "-1" + cursor[1:],
        lambda cursor: "4" + cursor[1:],
        lambda cursor: ".".join([cursor.split(".")[0], str(int(cursor.split(".")[1]) + 1), cursor.split(".")[2]]),
        lambda cursor: ".".join([cursor.split(".")[0], "9" * 18, cursor.split(".")[2]]),
        lambda cursor: ".".join([cursor.split(".")[0], "0x10", cursor.split(".")[2]]),
        lambda cursor: ".".join([cursor.split(".")[0], "٣", cursor.split(".")[2]]),
        lambda cursor: cursor[:-1] + ("0" if cursor[-1] != "0" else "1"),
        lambda cursor: cursor + "\n",
    ],
)
def test_a_forged_cursor_is_refused(known: tuple[Dataset, Version, Page], forge: Any) -> None:
    dataset, version, first = known
    forged = forge(first.following)
    with pytest.raises(CursorError, match="take `next` of the page before"):
        page(dataset.store, version, Asked(ROLES), cursor=forged, most=7, chunks=Chunks())


@pytest.mark.parametrize("other", [Asked(ROLES, "chars > 1"), Asked(ROLES[::-1]), Asked(("train", "validation"))])
def test_a_cursor_of_another_list_is_refused(known: tuple[Dataset, Version, Page], other: Asked) -> None:
    dataset, version, first = known
    with pytest.raises(CursorError):
        page(dataset.store, version, other, cursor=first.following, most=7, chunks=Chunks())


def test_a_cursor_of_another_version_is_refused(known: tuple[Dataset, Version, Page]) -> None:
    _, _, first = known
    dataset, version = made(60, 2)
    with pytest.raises(CursorError):
        page(dataset.store, version, Asked(ROLES), cursor=first.following, most=7, chunks=Chunks())


def test_a_condition_that_is_not_understood_is_told(known: tuple[Dataset, Version, Page]) -> None:
    dataset, version, _ = known
    with pytest.raises(RecipeError, match=r"where: `frob` is nothing that a condition can ask for"):
        page(dataset.store, version, Asked(ROLES, "frob == 1"), cursor=None, most=7, chunks=Chunks())
