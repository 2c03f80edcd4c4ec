"""What a report was made of and by: the lines of its identity block."""

from collections.abc import Mapping, Sequence
from typing import Any

from inspection.pipeline.settings import SETTINGS
from inspection.report.model import Fact
from inspection.words import percent, say, word
from severstal_prep.training_crops import CROP_SIDE


def identity(record: Mapping[str, Any]) -> tuple[Fact, ...]:
    """The identity of a run from its record (batch.json)."""
    bundle, config, policy, sise = (
        record["bundle"],
        record["config"],
        record["policy"],
        record["config"]["sise"],
    )
    side = config.get("patch", CROP_SIDE)
    thresholds = ", ".join(f"{name} {value:.3g}" for name, value in config["thresholds"].items())
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    return (
        Fact(word("Model"), f"{bundle['architecture']}, temperature {bundle['temperature']:.4g}"),
        Fact(word("Report fingerprint"), record["fingerprint"], code=True),
        Fact(word("Bundle SHA-256"), bundle["sha256"], code=True),
        Fact(word("Weights SHA-256"), bundle["weights_sha256"], code=True),
        Fact(word("Thresholds"), thresholds + _any_defect(config)),
        Fact(word("Policy SHA-256"), policy["sha256"], code=True),
        Fact(word("Configuration SHA-256"), record["config_sha256"], code=True),
        Fact(
            word("Tiling"),
            say(
                "patches of {side} × {side} px every {stride} px, full coverage",
                side=side,
                stride=config["stride"],
            ),
        ),
        Fact(
            word("Not judged"),
            say(
                "patches with more than {share} of their pixels black",
                share=percent(config["black_threshold"]),
            ),
        ),
        _setting("explain", config),
        Fact(
            word("SISE"),
            f"μ = {sise['mu']:g}, {sise['fusion']} fusion, {sise['layers']}; {sise['masks']}; "
            f"{sise['budget_in_words']}; masked-out pixels: {sise['fill_in_words']}; "
            f"surroundings: {sise['context'] or 'none'}; "
            f"worth of a mask: {sise['evidence_in_words']}; "
            f"scored in {sise['scoring_precision']} by {sise['backend']}",
        ),
        _setting("runner_up", config),
        *([_setting("strip_pictures", config)] if "strip_pictures" in config else []),
        _setting("mm_per_px", config),
        *_truth(config["truth"]),
        *_earlier(config["earlier"]),
        Fact(word("Forward passes"), f"{record['counts']['forwards']:,}".replace(",", "\u202f")),
        Fact(word("Device"), f"{record['device']}, {config['precision']}{_by(config)}"),
        Fact(word("Versions"), versions),
        Fact(word("Batch folder"), record["batch_folder"], code=True),
    )


def _setting(name: str, config: Mapping[str, Any]) -> Fact:
    return Fact(SETTINGS[name].label, say(SETTINGS[name].said(config[name])))


def _by(config: Mapping[str, Any]) -> str:
    """What classified, which records of earlier versions leave out: it was PyTorch."""
    return f" by {config['backend']}" if "backend" in config else ""


def _any_defect(config: Mapping[str, Any]) -> str:
    """From where the defect classes together flag; records of earlier versions have none."""
    least = config.get("any_defect_threshold")
    if least is None:
        return ""
    return f", {say('all defect classes together')} {least:.3g}"


def _truth(truth: Mapping[str, Any] | None) -> tuple[Fact, ...]:
    if truth is None:
        return ()
    return (
        Fact(word("Ground truth"), truth["file"], code=True),
        Fact(word("Ground truth SHA-256"), truth["sha256"], code=True),
    )


def _earlier(earlier: Sequence[Mapping[str, Any]]) -> tuple[Fact, ...]:
    named = ", ".join(f"{entry['folder']} ({entry['fingerprint'][:12]})" for entry in earlier)
    return (Fact(word("Earlier reports"), named, code=True),) if named else ()
