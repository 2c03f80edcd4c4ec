"""Which image files a recast uses, and which listed strips have none."""

from pathlib import Path

from severstal_prep.annotations import Annotations, Rejection
from severstal_prep.errors import DatasetError
from severstal_prep.images import looks_like_image
from severstal_prep.recast import Rules
from severstal_prep.strips import Source


def choose_sources(
    annotations: Annotations, images: Path, rules: Rules
) -> tuple[list[Source], list[Rejection]]:
    """List the strips that `rules` draw crops from, by name, and the listed ones without a file.

    Strips without a label are used under normals="all" only, whether the label file lists
    them or not. Raises DatasetError for an image folder that is missing or holds none of the
    listed strips, and for two images that differ in their suffix alone.
    """
    files = _image_files(images)
    missing = [a for a in annotations.strips.values() if a.image not in files]
    if annotations.strips and len(missing) == len(annotations.strips):
        raise DatasetError(
            f"{images}: none of the {len(missing)} listed images is here "
            f"({missing[0].image}, …); name the folder with the strips of the label file"
        )
    sources = [
        Source(files[a.image], a.row, a.labels)
        for a in annotations.strips.values()
        if a.image in files and (a.labels or rules.normals == "all")
    ]
    if rules.normals == "all":
        rejected = {rejection.image for rejection in annotations.rejections}
        sources += [
            Source(path, None, {})
            for name, path in files.items()
            if name not in annotations.strips and name not in rejected and looks_like_image(path)
        ]
    sources.sort(key=lambda source: source.path.name)
    _check_names(sources)
    return sources, [
        Rejection(a.row, a.image, "", f"{images / a.image} is missing: add it or drop its rows")
        for a in missing
    ]


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
