"""Which image files a recast uses, and which listed strips have none."""

from dataclasses import dataclass
from pathlib import Path

from severstal_prep.annotations import Annotations, Rejection
from severstal_prep.errors import DatasetError
from severstal_prep.images import looks_like_image
from severstal_prep.names import match_names
from severstal_prep.recast import Rules
from severstal_prep.strips import Source


@dataclass(frozen=True)
class Chosen:
    """The strips that crops are drawn from, by name; why listed ones are not among them; notes
    on names that differ from their files."""

    sources: list[Source]
    missing: list[Rejection]
    notes: tuple[str, ...]


def choose_sources(annotations: Annotations, images: Path, rules: Rules) -> Chosen:
    """List the strips that `rules` draw crops from, by name, and the listed ones without a file.

    Names may differ from those of the files in Unicode form, case or suffix, as long as it is
    clear what they mean. Strips without a label are used under normals="all" only, whether the
    label file lists them or not. Raises DatasetError for an image folder that is missing or
    holds none of the listed strips, and for two images that differ in their suffix alone.
    """
    files = _image_files(images)
    rejected = {rejection.image for rejection in annotations.rejections}
    matched = match_names([*annotations.strips, *rejected], files)
    strips = annotations.strips.values()
    present = [(files[matched.files[a.image]], a) for a in strips if a.image in matched.files]
    missing = [a for a in strips if a.image not in matched.files]
    if strips and not present and not any(a.image in matched.unclear for a in missing):
        raise DatasetError(
            f"{images}: none of the {len(missing)} listed images is here "
            f"({missing[0].image}, …); name the folder with the strips of the label file"
        )
    sources = [
        Source(path, a.row, a.labels) for path, a in present if a.labels or rules.normals == "all"
    ]
    if rules.normals == "all":
        listed = {*matched.files.values(), *matched.unclear_files}
        sources += [
            Source(path, None, {})
            for name, path in files.items()
            if name not in listed and looks_like_image(path)
        ]
    sources.sort(key=lambda source: source.path.name)
    _check_names(sources)
    rejections = [
        Rejection(a.row, a.image, "", matched.unclear.get(a.image) or _absent(images, a.image))
        for a in missing
    ]
    return Chosen(sources, rejections, matched.notes)


def _absent(images: Path, name: str) -> str:
    return f"{images / name} is missing: add it or drop its rows"


def _image_files(images: Path) -> dict[str, Path]:
    try:
        return {
            path.name: path
            for path in images.iterdir()
            if not path.name.startswith(".") and path.is_file()
        }
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetError(f"{images}: there is no such folder of images") from error


def _check_names(sources: list[Source]) -> None:
    by_id = dict[str, Path]()
    for source in sources:
        other = by_id.setdefault(source.strip_id, source.path)
        if other != source.path:
            raise DatasetError(
                f"{source.path}: {other.name} is an image of the same name; rename one of them"
            )
