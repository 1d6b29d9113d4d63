"""`imageyard similar`: the images of a version that look most like one."""

from __future__ import annotations

from dataclasses import asdict

from imageyard.ray_jobs.analysis.said import reading
from imageyard.ray_jobs.analysis.similar import similar
from imageyard.ray_jobs.origin import called
from imageyard.service.analysis_text import condition_of, plain, roles_of, told
from imageyard.service.console import say_json, table
from imageyard.service.look_commands import find_sample, opened, version_of


def show_similar(
    url: str, image: str, number: int | None, *, most: int, role: str | None, where: str | None, as_json: bool
) -> None:
    """The images that look most like `image`, which may be a rejected one."""
    samples = roles_of(role), condition_of(where)
    dataset = opened(url)
    version = version_of(dataset, number)
    _, asked = find_sample(dataset, version, image)
    found = similar(dataset, version, asked, reading(dataset, version, *samples)(), most=most)
    if as_json:
        likes = [asdict(one) for one in found]
        say_json({"dataset": url, "version": version.number, "image": called(asked), "similar": likes})
        return
    rows = [(plain(one.name), f"{one.similarity:.4f}", one.key[:12]) for one in found]
    title = f"like {plain(called(asked))}, of {told(version, role, where)}"
    table(title, ("image", "similarity", "sha256"), rows)
