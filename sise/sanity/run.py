"""The experiment: each method's map of each item, with ever more of the weights drawn anew."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sise.bundle import ModelBundle
from sise.datasets.dataset import Dataset
from sise.evaluation.store import Made, MapStore, RowStore, identity
from sise.evaluation.subject import Subject
from sise.explanation import OK, Explainer
from sise.methods.trivial import CentreGaussian
from sise.metrics import ebpg
from sise.registry import MethodSpec, make_explainer
from sise.sanity.similarity import MEASURES, similarities
from sise.sanity.stages import MOST, RandomizedModel, Stage, find_stages

MAPS, COMPARED = "maps", "similarities.jsonl"
ORIGINAL, UNTRAINED = "original", "untrained"
OTHER_IMAGE, CENTRE = "another image", "centre Gaussian"
PEERS = 4
"""Other images that an image's map is held against, at most."""

Mode = Literal["cascading", "independent"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What to run. `seeds` untrained nets from `seed` on, of which the first is cascaded to.

    `shared` are options of the explainers; `most` stages at most.
    """

    specs: tuple[MethodSpec, ...]
    mode: Mode
    shared: Mapping[str, Any]
    seed: int = 0
    seeds: int = 3
    most: int = MOST


@dataclass(frozen=True)
class State:
    """A model with new weights, from `seed`, in the stages `renewed`: step `step` of `kind`."""

    kind: str
    step: int
    stage: str
    seed: int
    renewed: tuple[int, ...]
    folder: str


@dataclass(frozen=True, eq=False)
class Experiment:
    """The plan on the bundle's model and these subjects. What is in `out` is not made again.

    A row's `kind` says what a map is compared with the original one: "original" (itself, step 0),
    "cascading" or "independent" (step 1 is the logits' stage), "untrained" (all stages, each
    seed), "another image" (the original map of another image of the class) and "centre
    Gaussian".
    """

    bundle: ModelBundle
    dataset: Dataset
    subjects: Sequence[Subject]
    plan: Plan
    out: Path
    _explainers: dict[str, Explainer] = field(default_factory=dict, init=False)
    _copies: dict[int, RandomizedModel] = field(default_factory=dict, init=False)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        return find_stages(self.bundle.model, self.subjects[0].image[None], self.plan.most)

    @cached_property
    def steps(self) -> tuple[State, ...]:
        """The randomisation step by step, from the logits down."""
        plan, last = self.plan, len(self.stages)
        return tuple(
            self._untrained(plan.mode, last, stage.name, plan.seed)
            if plan.mode == "cascading" and step == last
            else State(
                plan.mode, step, stage.name, plan.seed,
                tuple(range(step)) if plan.mode == "cascading" else (step - 1,),
                f"{plan.mode}-{plan.seed}/{step:02}",
            )
            for step, stage in enumerate(self.stages, start=1)
        )  # fmt: skip

    @cached_property
    def untrained(self) -> tuple[State, ...]:
        """The net without anything learnt, once a seed."""
        seeds = range(self.plan.seed, self.plan.seed + self.plan.seeds)
        return tuple(self._untrained(UNTRAINED, len(self.stages), "all", seed) for seed in seeds)

    @property
    def total(self) -> int:
        """How often `rows` yields."""
        states = 1 + len(self.steps) + len(self.untrained)
        return states * len(self.plan.specs) * len(self.subjects)

    def rows(self) -> Iterator[list[Row]]:
        """What each map is like: the original's rows first, then a row for each map compared."""
        known = RowStore(self.out / COMPARED)
        for spec in self.plan.specs:
            for subject in self.subjects:
                yield list(self._of_original(known, spec, subject))
        for state in (*self.steps, *self.untrained):
            for spec in self.plan.specs:
                for subject in self.subjects:
                    made = self.map(spec, subject, state)
                    yield [self._row(known, spec, subject, state, made)]

    def map(self, spec: MethodSpec, subject: Subject, state: State | None = None) -> Made:
        """The map of the model as it is, or in a `state`."""
        decided, folder = self._identity, ORIGINAL
        if state is not None:
            names = [name for index in state.renewed for name in self.stages[index].modules]
            decided = decided | {"renewed": {"seed": state.seed, "modules": sorted(names)}}
            folder = state.folder
        store = MapStore(self.out / MAPS / folder)
        return store.made(spec, self._explainer(spec, state), subject, decided)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        device = next(self.bundle.model.parameters()).device
        return identity(self.bundle, self.plan.shared, device)

    def _of_original(self, known: RowStore, spec: MethodSpec, subject: Subject) -> Iterator[Row]:
        made = self.map(spec, subject)
        original = State(ORIGINAL, 0, "", self.plan.seed, (), ORIGINAL)
        yield self._row(known, spec, subject, original, made)
        for peer in peers(self.subjects, subject, PEERS):
            other = replace(original, kind=OTHER_IMAGE, stage=peer.item.id)
            yield self._row(known, spec, subject, other, self.map(spec, peer))
        centre = replace(original, kind=CENTRE)
        yield self._row(known, spec, subject, centre, self._centre)

    def _row(
        self, known: RowStore, spec: MethodSpec, subject: Subject, state: State, made: Made
    ) -> Row:
        original = self.map(spec, subject)
        key = f"{original.key} {made.key}"
        if key not in known:
            truth = subject.truth.cpu()[None]
            known.add({key: {**similarities(original.map, made.map),
                             "ebpg": float(ebpg(made.map[None], truth))}})  # fmt: skip
        return {
            "method": spec.text,
            "kind": state.kind,
            "step": state.step,
            "stage": state.stage,
            "seed": state.seed,
            "item": subject.item.id,
            "image": subject.item.image,
            "group": subject.item.unit,
            "label": self.dataset.classes[subject.item.label],
            "status": made.status,
            "score": made.score,
            "forwards": made.forwards,
            "seconds": made.seconds,
            **{name: known[key][name] for name in (*MEASURES, "ebpg")},
        }

    @cached_property
    def _centre(self) -> Made:
        image = self.subjects[0].image[None]
        centre = CentreGaussian(self.bundle.model)(image).maps[0].cpu()
        return Made(CENTRE, centre, OK, float("nan"), 0, 0.0)

    def _untrained(self, kind: str, step: int, stage: str, seed: int) -> State:
        every = tuple(range(len(self.stages)))
        return State(kind, step, stage, seed, every, f"{UNTRAINED}-{seed}")

    def _explainer(self, spec: MethodSpec, state: State | None) -> Explainer:
        """Made when it is first asked to explain: all may be on disk."""
        if state is None:
            return lambda images, target=None: self._of_the_model(spec)(images, target)
        which = frozenset(state.renewed)
        return lambda images, target=None: self._randomized(state.seed).explain(
            spec, which, images, target
        )

    def _of_the_model(self, spec: MethodSpec) -> Explainer:
        if spec.text not in self._explainers:
            self._explainers[spec.text] = make_explainer(spec, self.bundle.model, self.plan.shared)
        return self._explainers[spec.text]

    def _randomized(self, seed: int) -> RandomizedModel:
        """One at a time: each holds two copies of the model."""
        if seed not in self._copies:
            self._copies.clear()
            self._copies[seed] = RandomizedModel(
                self.bundle.model, self.stages, seed, self.plan.shared
            )
        return self._copies[seed]


def peers(subjects: Sequence[Subject], subject: Subject, most: int) -> list[Subject]:
    """The next `most` subjects of the same class, of other groups, beginning again at the end."""
    same = [one for one in subjects if one.target == subject.target]
    place = same.index(subject)
    turned = same[place + 1 :] + same[:place]
    return [one for one in turned if one.item.unit != subject.item.unit][:most]
