"""A version read for training: the same order whoever reads it, from wherever it goes on, with whatever is broken."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from imageyard.manifests import Dataset, ImageyardError, Sample, Version
from imageyard.manifests.errors import ManifestError, StoreError, VersionError
from imageyard.manifests.loader import Example, VersionStream, canonical, collate
from imageyard.manifests.order import EpochOrder, Reader, permutation, slots, steps, wrapped
from imageyard.manifests.version import ManifestEntry, Range, Role
from versions import recorded

BATCH = 8
ROWS = 45

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # torch, on a single core


def picture(number: int, *, size: tuple[int, int] = (8, 6), kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (number % 256, 2 * number % 256, 7)).save(out, kind)
    return out.getvalue()


def with_images(dataset: Dataset, count: int = ROWS, *, broken: Iterable[int] = (), gone: Iterable[int] = ()) -> None:
    """Commit the next version: `count` small images in the role train, in ranges of seven lines."""
    samples = []
    for number in range(count):
        key = f"images/{number:04d}.{'png' if number % 2 else 'jpg'}"
        data = b"\xff\xd8 not an image" if number in broken else picture(number, kind="PNG" if number % 2 else "JPEG")
        if number not in gone:
            dataset.store.ensure(key, data)
        samples.append(Sample.of(dataset.store.address(key), caption=f"picture {number}"))
    commit(dataset, {"train": samples})


def commit(dataset: Dataset, roles: dict[Role, list[Sample]], *, lines: int = 7) -> Version:
    draft = dataset.draft((role, sample) for role, samples in roles.items() for sample in samples)

    manifests = {role: cut(dataset, entry, lines) for role, entry in draft.manifests.items()}
    done = dataset.commit(lambda parent: recorded(parent, draft, manifests=manifests))
    assert done
    return done


def cut(dataset: Dataset, entry: ManifestEntry, lines: int) -> ManifestEntry:
    """The same manifest with ranges of a few lines, as a large one has of a few thousand."""
    written = dataset.store.get(entry.key).splitlines(keepends=True)
    ranges, offset = [], 0
    for first in range(0, len(written), lines):
        part = written[first : first + lines]
        ranges.append(Range(offset, sum(map(len, part)), len(part)))
        offset += ranges[-1].length
    return entry.model_copy(update={"ranges": tuple(ranges)})


def stream(dataset: Dataset | str, version: int = 1, **how: Any) -> VersionStream:
    return VersionStream(dataset, version, "train", **{"global_batch": BATCH, "seed": 3, "window": 3, **how})


def ranks(dataset: Dataset | str, world: int, **how: Any) -> list[VersionStream]:
    return [stream(dataset, rank=rank, world=world, **how) for rank in range(world)]


def global_batches(loaders: Sequence[Iterable[dict[str, Any]]]) -> Iterator[list[str]]:
    """What all ranks together read, a list a step."""
    for shares in zip(*loaders, strict=True):
        yield [reference for share in shares for reference in share["source_ref"]]


def digest(batches: Iterable[list[str]]) -> str:
    return hashlib.sha256("\n".join(name for batch in batches for name in batch).encode()).hexdigest()


def references(examples: Iterable[Example]) -> list[str]:
    return [example["source_ref"].rsplit("/", 1)[-1] for example in examples]


@pytest.fixture
def dataset() -> Dataset:
    """Version 1 with 45 images."""
    made = Dataset.open(f"memory://{uuid.uuid4().hex}")
    with_images(made)
    return made


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = tmp_path_factory.mktemp("cats").as_uri()
    with_images(Dataset.open(url))
    return url


# The order as arithmetic


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    window=st.integers(1, 14),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 2**40),
)
def test_the_order_of_an_epoch_is_a_permutation_of_all_rows(
    rows: list[int], window: int, seed: int, epoch: int
) -> None:
    order = EpochOrder(rows, seed=seed, epoch=epoch, window=window)
    places = [order.place(position) for position in range(len(order))]
    assert sorted(places) == [(nth, row) for nth, count in enumerate(rows) for row in range(count)]


@settings(max_examples=100, deadline=None)
@given(
    rows=st.integers(1, 60),
    share=st.integers(1, 5),
    world=st.integers(1, 4),
    workers=st.integers(1, 4),
    consumed=st.integers(0, 59),
)
def test_readers_share_the_rest_of_an_epoch_without_gap_or_overlap(
    rows: int, share: int, world: int, workers: int, consumed: int
) -> None:
    batch = share * world
    taken: list[int] = []
    for rank in range(world):
        readers = [Reader(rank, world, worker, workers) for worker in range(workers)]
        of_rank = [slot for reader in readers for slot in slots(rows, reader, consumed=consumed, batch=batch)]
        assert len(of_rank) == steps(rows, consumed=consumed, batch=batch) * share
        taken += of_rank
    assert sorted(taken) == list(range(consumed, consumed + len(taken)))
    assert consumed + len(taken) >= rows
    assert consumed + len(taken) < rows + batch or not taken
    assert all(wrapped(slot, rows) == slot for slot in taken if slot < rows)


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(sum), window=st.integers(1, 5))
def test_stand_ins_are_the_rest_of_the_window_from_the_next_position_on(rows: list[int], window: int) -> None:
    order = EpochOrder(rows, seed=1, epoch=0, window=window)
    for position in range(len(order)):
        others = list(order.stand_ins(position))
        assert others[:1] in ([], [position + 1], [min([position, *others])])
        together = {position, *others}
        assert together == set(range(min(together), max(together) + 1))
        assert len({order.place(each).range for each in together}) <= window


def test_a_window_is_walked_before_the_next_one_begins() -> None:
    order = EpochOrder([10] * 12, seed=5, epoch=0, window=4)
    touched = [{order.place(position).range for position in range(first, first + 40)} for first in (0, 40, 80)]
    assert [len(ranges) for ranges in touched] == [4, 4, 4]


def test_the_order_is_the_same_in_every_release() -> None:
    assert permutation(10, seed=3, epoch=1, block=2).tolist() == [9, 4, 5, 2, 8, 6, 1, 3, 0, 7]


# Any number of ranks and workers


@pytest.mark.parametrize("world", [1, 2, 4, 8])
@pytest.mark.parametrize("done", [0, 2, 5])
def test_any_number_of_ranks_reads_the_same_batches_from_any_resume_point(
    dataset: Dataset, world: int, done: int
) -> None:
    whole = list(global_batches([stream(dataset).batches()]))
    readers = ranks(dataset, world)
    for reader in readers:
        reader.advance(done)
    assert digest(global_batches([reader.batches() for reader in readers])) == digest(whole[done:])


@pytest.mark.parametrize("world", [1, 2])
def test_worker_processes_read_the_same_batches_from_any_resume_point(on_disk: str, world: int) -> None:
    whole = list(global_batches([stream(on_disk).batches()]))
    readers = ranks(on_disk, world)
    loaders = [reader.batches(workers=2) for reader in readers]
    for done in (0, 3):
        for reader in readers:
            reader.load_state_dict(reader.state_dict() | {"consumed": done * BATCH})
        assert digest(global_batches(loaders)) == digest(whole[done:])


def test_set_epoch_reaches_workers_that_persist(on_disk: str) -> None:
    watched, alone = stream(on_disk), stream(on_disk)
    loader = DataLoader(
        watched,
        batch_size=watched.batch_size,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context="forkserver",
        collate_fn=collate,
    )
    for epoch in (0, 1, 7):
        watched.set_epoch(epoch)
        alone.set_epoch(epoch)
        assert digest(global_batches([loader])) == digest(global_batches([alone.batches()]))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_that_were_forked_are_refused_instead_of_waiting_for_ever(on_disk: str) -> None:
    loader = DataLoader(stream(on_disk), batch_size=BATCH, num_workers=1, multiprocessing_context="fork")
    with pytest.raises(ImageyardError, match="forkserver"):
        next(iter(loader))


def test_a_stream_over_memory_does_not_go_to_other_processes(dataset: Dataset) -> None:
    with pytest.raises(ImageyardError, match="workers=0"):
        pickle.dumps(stream(dataset))


def test_a_pickled_stream_reads_on_by_its_url(on_disk: str) -> None:
    original = stream(on_disk)
    assert references(pickle.loads(pickle.dumps(original))) == references(original)  # noqa: S301  # our own bytes


def test_ranks_come_from_torch_distributed_unless_given(dataset: Dataset) -> None:
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", rank=1, world_size=4, store=FakeStore())
    try:
        found = stream(dataset)
        assert (found.rank, found.world, found.batch_size) == (1, 4, 2)
        assert stream(dataset, rank=0, world=2).world == 2
    finally:
        torch.distributed.destroy_process_group()


# One epoch after the other


def test_every_sample_is_seen_once_an_epoch_but_for_pads_from_its_start(dataset: Dataset) -> None:
    seen = list(stream(dataset))
    own = [example for example in seen if not example["is_pad"]]
    assert sorted(references(own)) == sorted(f"{n:04d}.{'png' if n % 2 else 'jpg'}" for n in range(ROWS))
    assert [example["position"] for example in seen] == list(range(48))
    assert references(seen[45:]) == references(seen[:3])


@pytest.mark.parametrize(("world", "expected"), [(1, 48), (2, 24), (8, 6)])
def test_a_stream_is_as_long_as_a_rank_s_share_with_pads(dataset: Dataset, world: int, expected: int) -> None:
    for reader in ranks(dataset, world):
        assert len(reader) == len(list(reader)) == expected
        assert len(reader.batches()) == 6


@pytest.mark.parametrize("other", [{"seed": 4}, {"window": 2}, {"version": 2}])
def test_another_seed_window_or_version_is_another_order(dataset: Dataset, other: dict[str, Any]) -> None:
    with_images(dataset, 52)
    assert references(stream(dataset, **other)) != references(stream(dataset))


def test_each_epoch_has_its_own_order_and_the_same_one_every_time(dataset: Dataset) -> None:
    orders = []
    for epoch in (0, 1, 0):
        reader = stream(dataset)
        reader.set_epoch(epoch)
        orders.append(references(reader))
    assert orders[0] == orders[2] != orders[1]


def test_a_training_loop_walks_the_epochs_by_advancing(dataset: Dataset) -> None:
    reader = stream(dataset)
    batches = reader.batches()
    walked = []
    while reader.epoch < 2:
        for batch in batches:
            walked.append((reader.epoch, batch["source_ref"]))
            reader.advance()
    second = stream(dataset)
    second.set_epoch(1)
    assert [refs for epoch, refs in walked if epoch == 0] == [refs["source_ref"] for refs in stream(dataset).batches()]
    assert [refs for epoch, refs in walked if epoch == 1] == [refs["source_ref"] for refs in second.batches()]
    assert reader.state_dict()["consumed"] == 0


def test_a_loop_that_was_left_goes_on_where_it_was_left(dataset: Dataset) -> None:
    whole = [batch["source_ref"] for batch in stream(dataset).batches()]
    reader = stream(dataset)
    batches = reader.batches()
    next(iter(batches))
    reader.advance()
    assert [batch["source_ref"] for batch in batches] == whole[1:]


# Going on after a stop


def test_four_ranks_stop_and_two_go_on(dataset: Dataset) -> None:
    whole = list(global_batches([stream(dataset).batches()]))
    before = ranks(dataset, 4)
    steps_done = []
    for _, batch in zip(range(3), global_batches([reader.batches() for reader in before]), strict=False):
        steps_done.append(batch)
        for reader in before:
            reader.advance()
    states = [reader.state_dict() for reader in before]
    assert states == [states[0]] * 4
    after = ranks(dataset, 2)
    for reader in after:
        reader.load_state_dict(states[0])
    assert digest([*steps_done, *global_batches([reader.batches() for reader in after])]) == digest(whole)


def test_the_state_is_six_plain_values(dataset: Dataset) -> None:
    reader = stream(dataset)
    reader.advance(2)
    state = reader.state_dict()
    expected = {"manifest_version": 1, "seed": 3, "epoch": 0, "consumed": 16, "global_batch": 8}
    assert state == expected | {"filter_hash": reader.filter_hash}


def test_another_global_batch_goes_on_from_the_same_sample_and_says_so(dataset: Dataset) -> None:
    reader = stream(dataset)
    reader.advance(3)
    other = stream(dataset, global_batch=10)
    with pytest.warns(UserWarning, match="resumed with 10"):
        other.load_state_dict(reader.state_dict())
    rest = list(other)
    assert references(rest)[:21] == references(stream(dataset))[24:45]
    assert [example["is_pad"] for example in rest] == [False] * 21 + [True] * 9


@pytest.mark.parametrize(
    "other", [{"seed": 4}, {"window": 2}, {"keep": lambda sample: "4" not in sample.value("caption")}]
)
def test_a_state_of_another_order_is_refused(dataset: Dataset, other: dict[str, Any]) -> None:
    with pytest.raises(ImageyardError, match="the state has"):
        stream(dataset, **other).load_state_dict(stream(dataset).state_dict())


# What a version holds


def test_a_newer_commit_changes_nothing_for_a_pinned_version(dataset: Dataset) -> None:
    before = stream(dataset)
    first = references(before)
    with_images(dataset, 60)
    assert references(before) == references(stream(dataset)) == first
    assert len(stream(dataset, version=2)) == 64


@pytest.mark.parametrize("number", [9, 0, "latest", True])
def test_a_version_that_is_no_number_or_does_not_exist_is_refused(dataset: Dataset, number: Any) -> None:
    with pytest.raises(VersionError, match=r"it has 1 to 1|names a number"):
        stream(dataset, version=number)


def test_a_role_the_version_lacks_is_refused_naming_those_it_has(dataset: Dataset) -> None:
    with pytest.raises(VersionError, match="no role 'test'; it has train"):
        VersionStream(dataset, 1, "test", global_batch=1)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rank": 0, "world": 3}, "use a multiple of 3"),
        ({"rank": 2, "world": 2}, "counted from 0"),
        ({"rank": 1}, "give both"),
        ({"global_batch": 0}, "cannot be shared"),
        ({"window": 0}, "at least 1"),
        ({"keep": lambda sample: False}, "left to train on"),
    ],
)
def test_what_cannot_be_is_refused_at_once(dataset: Dataset, how: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageyardError, match=message):
        stream(dataset, **how)


def test_an_example_says_what_people_train_on(dataset: Dataset) -> None:
    dataset.store.create("images/one.png", picture(9, size=(5, 4)))
    scores = {"class-map": {"0": "cat", "3": "sofa", "5": "indoors"}, "confidence-map": {"0": 0.5, "3": 0.9}}
    several = {"type": "groundtruth/image-classification-multilabel", **scores}
    sample = (
        Sample.of(dataset.store.address("images/one.png"))
        .with_label("caption", "a cat", {"type": "groundtruth/custom"})
        .with_label("caption-short", "cat", {"type": "groundtruth/custom"})
        .with_label("tags", [0, 3, 5], several)
        .with_label("rating", 1, {"class-name": "general", "type": "groundtruth/image-classification"})
    )
    commit(dataset, {"train": [sample]})
    (example,) = stream(dataset, version=2, global_batch=1)
    image = example.pop("image")  # type: ignore[misc]  # compared by itself
    assert (image.dtype, image.shape, image[:, 0, 0].tolist()) == (torch.uint8, (3, 4, 5), [9, 18, 7])
    assert example == {
        "caption": "a cat",
        "text": "a cat",
        "captions": {"caption": "a cat", "caption-short": "cat"},
        "tags": ["cat", "sofa", "indoors"],
        "labels": {"tags": ["cat", "sofa", "indoors"], "rating": "general"},
        "source_ref": sample.source_ref,
        "position": 0,
        "is_pad": False,
    }


def test_a_transform_gets_an_rgb_image_and_its_result_is_yielded(dataset: Dataset) -> None:
    examples = list(stream(dataset, transform=lambda image: (image.mode, image.size)))
    assert {example["image"] for example in examples} == {("RGB", (8, 6))}


def test_keep_leaves_out_samples_and_every_other_one_is_seen_once(dataset: Dataset) -> None:
    kept = list(stream(dataset, keep=lambda sample: int(sample.value("caption").split()[1]) % 3 == 0))
    names = references(example for example in kept if not example["is_pad"])
    assert sorted(names) == sorted(f"{n:04d}.{'png' if n % 2 else 'jpg'}" for n in range(0, ROWS, 3))


def test_images_may_lie_outside_the_dataset(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "a cat.png").write_bytes(picture(200))
    commit(dataset, {"train": [Sample.of(f"file://{tmp_path}/a cat.png")]})
    (example,) = stream(dataset, version=2, global_batch=1)
    assert example["image"][:, 0, 0].tolist() == [200, 144, 7]


def test_images_of_one_size_are_stacked_and_others_listed(dataset: Dataset) -> None:
    batch = next(iter(stream(dataset).batches()))
    assert batch["image"].shape == (8, 3, 6, 8)
    assert batch["position"].tolist() == list(range(8))
    assert batch["is_pad"].dtype == torch.bool
    assert len(batch["caption"]) == 8
    mixed = stream(dataset, transform=lambda image: torch.zeros(3, 2 + image.getpixel((0, 0))[0] % 5, 4))
    assert isinstance(next(iter(mixed.batches()))["image"], list)


# What is broken


@pytest.mark.parametrize("how", ["broken", "gone"])
def test_another_sample_of_the_window_stands_in_for_a_bad_image(how: str) -> None:
    dataset = Dataset.open(f"memory://{uuid.uuid4().hex}")
    with_images(dataset, **{how: [10, 11]})
    whole = Dataset.open(f"memory://{uuid.uuid4().hex}")
    with_images(whole)
    with pytest.warns(UserWarning, match="stands in") as said:
        seen = list(stream(dataset, window=9))
    bad = ("0010.jpg", "0011.png")
    expected = references(stream(whole, window=9))
    around = expected[:ROWS]
    for at in reversed(range(len(expected))):
        while expected[at] in bad:
            expected[at] = around[(around.index(expected[at]) + 1) % ROWS]
    assert references(seen) == expected
    assert sum(example["is_pad"] for example in seen) == 3 + 2
    assert len([warning for warning in said if "stands in" in str(warning.message)]) == 2


def test_a_bad_image_is_warned_of_once(dataset: Dataset) -> None:
    with_images(dataset, 46, gone=[45])
    reader = stream(dataset, version=2)
    with pytest.warns(UserWarning, match="there is no such object"):
        list(reader)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(reader)) == 48


def test_ranks_stay_equally_long_and_agree_when_images_are_bad(dataset: Dataset) -> None:
    with_images(dataset, 46, gone=[45])
    with pytest.warns(UserWarning, match="stands in"):
        alone = digest(global_batches([stream(dataset, version=2).batches()]))
    with pytest.warns(UserWarning, match="stands in"):
        shared = digest(global_batches([reader.batches() for reader in ranks(dataset, 4, version=2)]))
    assert shared == alone


def test_a_window_without_a_sound_image_ends_training(dataset: Dataset) -> None:
    commit(dataset, {"train": [Sample.of(dataset.store.address(f"images/none-{n}.png")) for n in range(3)]})
    with pytest.warns(UserWarning, match="stands in"), pytest.raises(ImageyardError, match="no image can be read"):
        list(stream(dataset, version=2))


def test_a_store_that_fails_ends_training_rather_than_replacing_every_image(dataset: Dataset) -> None:
    commit(dataset, {"train": [Sample.of("ftp://elsewhere/a.png")]})
    with pytest.raises(StoreError, match="not a URL of a store"):
        list(stream(dataset, version=2))


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"source-ref"', b'"another-ref'), (b"\n", b" "), (b"}\n", b'}\n{"source-ref":"memory://x/more.png"}\n')],
    ids=["a line spoilt", "lines joined", "a line added"],
)
def test_a_manifest_that_was_tampered_with_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    dataset = Dataset.open(tmp_path.as_uri())
    with_images(dataset)
    path = tmp_path / dataset.version(1).manifests["train"].key
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(ManifestError, match=r"changed after its commit|line 1: "):
        list(stream(dataset))


# The image itself


def saved(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.new("RGB", (8, 4), (5, 5, 5)), "JPEG", exif=exif)


def palette() -> bytes:
    image = Image.new("P", (4, 8), 1)
    image.putpalette([0, 0, 0, 5, 5, 5])
    return saved(image)


@pytest.mark.parametrize(
    ("data", "color"),
    [
        pytest.param(turned(), 5, id="turned by EXIF"),
        pytest.param(palette(), 5, id="palette"),
        pytest.param(saved(Image.new("L", (4, 8), 5)), 5, id="gray"),
        pytest.param(saved(Image.new("1", (4, 8), 1)), 255, id="black and white"),
        pytest.param(saved(Image.new("RGBA", (4, 8), (5, 5, 5, 0))), 255, id="transparent"),
        pytest.param(saved(Image.new("LA", (4, 8), (0, 128))), 127, id="half transparent"),
        pytest.param(saved(Image.new("L", (4, 8), 5), transparency=5), 255, id="transparent gray"),
        pytest.param(saved(Image.fromarray(np.full((8, 4), 5 * 257, np.uint16))), 5, id="16 bits"),
        pytest.param(saved(Image.new("CMYK", (4, 8), (0, 0, 0, 255)), "JPEG"), 0, id="CMYK"),
    ],
)
def test_images_of_every_kind_become_upright_rgb_on_white(data: bytes, color: int) -> None:
    image = canonical(data)
    assert (image.mode, image.size) == ("RGB", (4, 8))
    assert image.getpixel((0, 0)) == pytest.approx((color, color, color), abs=1)


def test_importing_manifests_brings_neither_torch_nor_numpy_nor_pillow() -> None:
    code = "import sys, imageyard.manifests; print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
