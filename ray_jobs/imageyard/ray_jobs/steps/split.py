"""Split: every sample that stands goes to train, validation or test, and stays there as the dataset grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from imageyard.manifests.errors import JobError
from imageyard.manifests.sample import Json
from imageyard.ray_jobs.origin import called, names_of
from imageyard.ray_jobs.splitting.audit import groups_told, leaks
from imageyard.ray_jobs.splitting.census import counted
from imageyard.ray_jobs.splitting.columns import Columns, read
from imageyard.ray_jobs.splitting.folds import folds_of
from imageyard.ray_jobs.splitting.group_by import rule
from imageyard.ray_jobs.splitting.minimum import Profile, least_of, rules_of, shortages
from imageyard.ray_jobs.splitting.patterns import LONGEST, globs
from imageyard.ray_jobs.splitting.placing import Placement, Policy, place
from imageyard.ray_jobs.splitting.sides import HELD_OUT, SIDES, TEST, TRAIN, VALIDATION
from imageyard.ray_jobs.splitting.ties import tie
from imageyard.ray_jobs.splitting.writing import given_to, written
from imageyard.ray_jobs.state import State, World
from imageyard.ray_jobs.steps.base import Step

HeldOut = Literal["test", "validation"]
Audited = Literal["pixels", "copy", "variant", "mirrored"]


def _amount(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value or 0.0
    if isinstance(value, float) and 0 <= value < 1:
        return value
    raise ValueError("write a share below 1, such as 0.1, or a whole number of images")


def _listed(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"write a list, such as [{value}]")
    return value


Amount = Annotated[float | int, BeforeValidator(_amount)]
Pattern = Annotated[str, Field(min_length=1, max_length=LONGEST)]


class Given(BaseModel):
    """Held-out sets that are kept as they are: patterns over the names under which images were dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    test: Annotated[tuple[Pattern, ...], BeforeValidator(_listed)] = Field(default=(), strict=False)
    validation: Annotated[tuple[Pattern, ...], BeforeValidator(_listed)] = Field(default=(), strict=False)


class Split(Step):
    """By group, by class, and for ever: an image once in test is never in train."""

    kind: ClassVar[str] = "split"

    test: Amount = 0.0
    """A share below 1, or a number of images."""
    validation: Amount = 0.0
    folds: int | None = Field(default=None, ge=2, le=100)
    """Parts of the training set for cross-validation: the pair `fold` of every image in train."""
    mode: Literal["stratified", "hash"] = "stratified"
    """`hash` looks at nothing but the group's hash: no counts and no classes, but the same in every dataset."""
    group_by: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(default=(), strict=False)
    """What belongs together besides copies."""
    given: Given = Given()
    release: Annotated[tuple[HeldOut, ...], BeforeValidator(_listed)] = Field(default=(), strict=False)
    """Held-out splits whose images lose their place before anything is decided."""
    conflicts: Literal["quarantine", "demote", "fail"] = "quarantine"
    """What becomes of an image that belongs with two splits."""
    audit: Annotated[tuple[Audited, ...], BeforeValidator(_listed)] = Field(
        default=("pixels", "copy", "variant", "mirrored"), strict=False
    )
    """Tiers of which no pair may lie across splits."""
    minimum: Mapping[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """By class, anomaly type or tag, how many images each held-out split should have at least."""
    profile: Profile | None = None
    """Whose rules for counts are checked."""
    short: Literal["report", "fail"] = "report"
    """What becomes of a job whose split has too few images by `minimum` or `profile`."""
    salt: str = "imageyard"
    """Another salt draws other images."""

    @field_validator("group_by")
    @classmethod
    def _rules_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            rule(text)
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        shares = [amount for amount in (self.test, self.validation) if isinstance(amount, float)]
        if sum(shares) >= 1:
            raise ValueError("test and validation together leave nothing to train on; their sum must be below 1")
        if self.mode == "hash" and len(shares) < len(HELD_OUT):
            raise ValueError("mode hash draws by share, and a number of images is none; write test: 0.1, for example")
        return self

    def claim(self, state: State, world: World) -> State:
        """The state in which the given sets are held out, for steps that decide before this one and prefer those."""
        patterns = self._given()
        samples = list(state.samples)
        for row, sample in enumerate(samples if patterns else ()):
            for side in HELD_OUT:
                if side in patterns and patterns[side](names_of(sample)):
                    samples[row] = given_to(sample, side, world.stamp).forget()
                    break
        return replace(state, samples=samples)

    def decide(self, state: State, world: World) -> State:
        """Every standing sample has a split, but those that a conflict keeps out.

        What is placed stays. What belongs with it follows it, unless it belongs with two splits or with a given set;
        what belongs with nothing is drawn. The same samples get the same splits, in whatever order they came.
        """
        import numpy as np

        columns = read(state, [rule(text) for text in self.group_by], self._given(), self.folds)
        ties = tie(np.asarray(state.groups, np.int64), state.edges, columns.named)
        placement = place(columns, ties, state.edges, state.keys, self._policy(columns, world.before))
        if self.conflicts == "fail":
            self._refuse_new_conflicts(state, columns, placement)
        trained = columns.standing & (placement.side == TRAIN)
        fold = folds_of(columns, ties, np.flatnonzero(trained), state.keys, folds=self.folds, salt=self.salt)
        return replace(state, samples=written(state, columns, placement, world.stamp, fold=fold, folds=self.folds))

    def certify(self, state: State, world: World) -> Mapping[str, Json]:
        """That no pair of an audited tier lies across splits, and what was counted; see `leaks` and `Census`.

        Raises JobError for such a pair, and for too few images where the recipe wants it to.
        """
        told = leaks(state, self.audit)
        census = counted(state)
        amounts = {SIDES[side]: amount for side, amount in self._amounts().items() if amount}
        held_out = set(amounts) | {SIDES[side] for side in self._given()}
        findings = shortages(census, self.minimum, self.profile, held_out)
        if findings and self.short == "fail":
            raise JobError(_too_few(findings[0]))
        told |= census.told(self.folds)
        told |= {"worst": census.worst(amounts), "findings": findings}
        return told | ({"groups": groups_told(state, self.group_by)} if self.group_by else {})

    def _amounts(self) -> dict[int, float]:
        return {TEST: self.test, VALIDATION: self.validation}

    def _given(self) -> dict[int, Callable[[Iterable[str]], bool]]:
        sets = {TEST: self.given.test, VALIDATION: self.given.validation}
        return {side: globs(patterns) for side, patterns in sets.items() if patterns}

    def _policy(self, columns: Columns, before: Sequence[Mapping[str, Any]]) -> Policy:
        tags = columns.tags
        number = {name: label for label, name in enumerate(tags.names)}
        kinds = dict(zip(tags.names, tags.kinds, strict=True))
        least = {
            side: least_of(kinds, self.minimum, rules_of(self.profile, SIDES[side], alone=False)) for side in HELD_OUT
        }
        return Policy(
            amounts=self._amounts(),
            minimum={
                side: {number[name]: least for name, least in asked.items() if name in number}
                for side, asked in least.items()
            },
            audit=self.audit,
            new=[side for side in HELD_OUT if not any(said.get(SIDES[side]) for said in _splits(before))],
            release=[SIDES.index(side) for side in self.release],
            bridges_join=self.conflicts == "demote",
            mode=self.mode,
            salt=self.salt,
        )

    def _refuse_new_conflicts(self, state: State, columns: Columns, placement: Placement) -> None:
        for row, conflict in sorted(placement.conflicts.items()):
            if not columns.conflicted[row]:
                other = conflict.other
                how = "by a chain" if conflict.distance is None else f"{conflict.tier}, {conflict.distance:g} apart"
                raise JobError(
                    f"{called(state.samples[row])} belongs with {called(state.samples[other])} "
                    f"({SIDES[placement.side[other]]}; {how}) and with another split; write conflicts: quarantine to "
                    "keep it out of all, or demote to hold it out"
                )


def _splits(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The parameters of the split steps among the steps of a recipe."""
    return [step[Split.kind] for step in steps if Split.kind in step]


def _too_few(finding: Mapping[str, Json]) -> str:
    wanted = f"at least {finding['at-least']} are" if "at-least" in finding else f"at most {finding['at-most']} are"
    return (
        f"{finding['split']} has {finding['images']} of {finding['label']}, and {wanted} asked for; nothing was "
        "committed. Add images, ask for less, or write short: report"
    )
