"""Pictures of one's own steel: `images/CLASS/*`, `masks/CLASS/*` and `groups.csv` in a folder.

A mask belongs to the image of the same name, suffix aside; its pixels that are not black are
the defect.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from severstal_prep.checked import plain
from severstal_prep.errors import AnnotationError, DatasetError, UnreadableImageError
from severstal_prep.images import looks_like_image, read_image
from severstal_prep.recast import NORMAL_NAME

IMAGES, MASKS, GROUPS = "images", "masks", "groups.csv"
_LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})


@dataclass(frozen=True)
class MaskedImage:
    """An image, its mask if there is one, the folder that it lies in, and its group: that of
    `groups.csv`, or "" if that has none."""

    path: Path
    mask: Path | None
    class_name: str
    group: str

    @property
    def image_id(self) -> str:
        """Folder and name without suffix: "scratch/017"."""
        return f"{self.class_name}/{self.path.stem}"


@dataclass(frozen=True)
class MaskedFolder:
    """All images by class and name, the class whose images show no defect, "" if there is none,
    and notes on what was understood."""

    images: tuple[MaskedImage, ...]
    normal: str
    notes: tuple[str, ...]

    @property
    def defect_classes(self) -> tuple[str, ...]:
        """Class names in alphabetical order, without the normal one."""
        names = dict.fromkeys(image.class_name for image in self.images)
        return tuple(name for name in names if name != self.normal)


def read_masked_folder(root: Path, normal: str | None = None) -> MaskedFolder:
    """Find the images of `root`, their masks and their groups.

    `normal` names the class whose images show no defect; left out, it is the one class without
    a defect pixel in any mask. Raises DatasetError for a folder of another layout, for masks
    without their class or two files of one name, and if several classes may be the normal one;
    AnnotationError for rows of `groups.csv` that cannot be used; UnreadableImageError.
    """
    names = _class_names(root / IMAGES)
    masks = _class_names(root / MASKS)
    for name in masks:
        if name not in names:
            raise DatasetError(
                f"{root / MASKS / name}: there is no {root / IMAGES / name}; name both alike"
            )
    files = {name: _files(root / IMAGES / name) for name in names}
    masks_of = {name: _files(root / MASKS / name) if name in masks else {} for name in names}
    for name, own in masks_of.items():
        for mask in own.values():
            if mask.suffix.lower() in _LOSSY:
                raise DatasetError(f"{mask}: JPEG blurs a mask's edges; save it as PNG")
        files[name] = {stem: path for stem, path in files[name].items() if path not in own.values()}
    groups, notes = _groups(root, files)
    images = tuple(
        MaskedImage(path, masks_of[name].get(stem), name, groups.get((name, path.name), ""))
        for name in names
        for stem, path in files[name].items()
    )
    if not images:
        raise DatasetError(f"{root / IMAGES}: no image in any of its folders")
    unused = sum(stem not in files[name] for name in names for stem in masks_of[name])
    if unused:
        notes.append(f"passed over: {unused} masks without an image of their name")
    if groups and (alone := sum(not image.group for image in images)):
        notes.append(f"{alone} images that {GROUPS} does not name are groups of their own")
    found = _normal(root, names, masks_of, normal)
    if found and normal is None:
        notes.append(f"no mask of {found!r} has a defect pixel: its images are normal")
    return MaskedFolder(images, found, tuple(notes))


def _class_names(folder: Path) -> list[str]:
    """The folders in a folder, alphabetically."""
    try:
        names = [path.name for path in folder.iterdir() if path.is_dir()]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetError(
            f"{folder}: there is no such folder; sort the files into {IMAGES}/CLASS and "
            f"{MASKS}/CLASS, with a folder for each class"
        ) from error
    names = sorted(name for name in names if not name.startswith("."))
    if not names:
        raise DatasetError(f"{folder}: has no folders; sort the files into one for each class")
    for name in names:
        if not name.isprintable() or name != name.strip():
            raise DatasetError(f"{folder}: the folder {name!r} cannot name a class; rename it")
    return names


def _files(folder: Path) -> dict[str, Path]:
    """The images of a folder by their names without suffix, alphabetically."""
    files = dict[str, Path]()
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file() or not looks_like_image(path):
            continue
        other = files.setdefault(path.stem, path)
        if other != path:
            raise DatasetError(f"{path}: {other.name} has the same name; rename one of them")
    return files


def _normal(
    root: Path,
    names: Sequence[str],
    masks_of: Mapping[str, Mapping[str, Path]],
    chosen: str | None,
) -> str:
    if chosen is not None and chosen not in names:
        raise DatasetError(f"--normal {chosen}: no folder of {root / IMAGES}: {', '.join(names)}")
    empty = [name for name in names if name != chosen and not _any_defect(masks_of[name])]
    if chosen is not None and empty:
        raise DatasetError(
            f"{root / MASKS / empty[0]}: no mask with a defect pixel, so that nothing tells the "
            "defect from the steel around it; add masks, or move the images away"
        )
    if len(empty) > 1:
        raise DatasetError(
            f"{root / MASKS}: no defect pixel in the masks of {', '.join(empty)}; say which of "
            "them shows no defect (--normal NAME), and add masks of the others or move them away"
        )
    found = chosen if chosen is not None else "".join(empty)
    if NORMAL_NAME in names and found != NORMAL_NAME:
        raise DatasetError(
            f"{root / IMAGES / NORMAL_NAME}: {NORMAL_NAME!r} is what crops without a defect are "
            "called; rename this folder, or give --normal normal"
        )
    if len(names) == 1 and found:
        raise DatasetError(f"{root / MASKS}: not one mask with a defect pixel; add masks")
    return found


def _any_defect(masks: Mapping[str, Path]) -> bool:
    for path in masks.values():
        try:
            if read_image(path).any():
                return True
        except UnreadableImageError:  # told where its image is cut
            continue
    return False


def _groups(
    root: Path, files: Mapping[str, Mapping[str, Path]]
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """The group of each image, by class and file name, and notes."""
    path = root / GROUPS
    if not path.exists():
        return {}, []
    there = {(name, file.name) for name, own in files.items() for file in own.values()}
    groups, unknown = dict[tuple[str, str], str](), 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            heading = [text.strip() for text in next(rows, [])]
            class_at, file_at, group_at = _columns(path, heading)
            for number, row in enumerate(rows, 2):
                if not any(row):
                    continue
                if len(row) != len(heading):
                    raise AnnotationError(
                        f"{path}, row {number}: {len(row)} fields, {len(heading)} in the heading"
                    )
                key, group = (row[class_at].strip(), row[file_at].strip()), row[group_at].strip()
                if not group:
                    raise AnnotationError(
                        f"{path}, row {number}: no group; fill it in or drop the row"
                    )
                if key not in there:
                    unknown += 1
                elif groups.setdefault(key, group) != group:
                    raise AnnotationError(
                        f"{path}, row {number}: {'/'.join(key)} is in group {groups[key]} already; "
                        "drop the row that is wrong"
                    )
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError(f"{path}: no CSV in UTF-8 ({error}); save it as that") from error
    if not groups:
        raise AnnotationError(f"{path}: names none of the images; give class and file as they are")
    notes = [f"passed over: {unknown} rows of {GROUPS} without an image"] if unknown else []
    return groups, notes


def _columns(path: Path, heading: Sequence[str]) -> tuple[int, int, int]:
    """Where class, file and group are: the column `group`, or the one that ends in `_group`."""
    grouping = [name for name in heading if name == "group"] or [
        name for name in heading if name.endswith("_group")
    ]
    if "class" not in heading or "file" not in heading or len(grouping) != 1:
        raise AnnotationError(
            f"{path}: its columns are {plain(', '.join(heading)) or 'none'}; "
            "name them class, file, group"
        )
    return heading.index("class"), heading.index("file"), heading.index(grouping[0])
