"""What a corpus is made of and what was left out of it, for people and as JSON (data.json, ``nimllm data --json``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nimllm.llm.data.scan import Scan
from nimllm.llm.data.tally import Tally

_SHOWN = 20  # sources in the words


def describe(scanned: Scan, tally: Tally, names: Sequence[str], dedup: str, cleaned: Sequence[str]) -> dict[str, Any]:
    """The report without tokens. ``names``: of the paths, in the order of their numbers."""
    sizes = scanned.document_sizes()
    keep = ~scanned.drop
    columns = {"documents": keep, "characters": np.where(keep, scanned.characters, 0),
               "bytes": np.where(keep, sizes, 0), "dropped_documents": ~keep}
    sums = {name: np.bincount(scanned.origins, values, len(names)) for name, values in columns.items()}
    sources: list[dict[str, Any]] = [{"path": path, **{name: int(total[number]) for name, total in sums.items()}}
                                     for number, path in enumerate(names)]
    letters = sum(scanned.scripts.values())
    return {
        "documents": int(keep.sum()), "characters": int(scanned.characters[keep].sum()),
        "bytes": int(sizes[keep].sum()), "largest_document_bytes": int(sizes[keep].max(initial=0)),
        "median_document_bytes": int(np.median(sizes[keep])) if keep.any() else 0, "sources": sources,
        "scripts": {name: round(count / letters, 4) for name, count in
                    sorted(scanned.scripts.items(), key=lambda entry: -entry[1])},
        "duplicates": {"mode": dedup, **scanned.duplicates},
        "cleaning": {name: dict(zip(("texts", "characters_gone"), scanned.effects.get(name, [0, 0]), strict=True))
                     for name in cleaned},
        "dropped": tally.describe(), "notes": tally.notes}


def add_tokens(report: dict[str, Any], tokens: int, size: int, characters: int, of: str) -> None:
    """Tokens of ``size`` bytes and ``characters`` of the text; ``of`` says which text that was."""
    report["tokens"] = {"measured_on": of, "tokens": tokens,
                        "characters_per_token": round(characters / max(1, tokens), 4),
                        "bytes_per_token": round(size / max(1, tokens), 4)}


def lines(report: dict[str, Any]) -> list[str]:
    """The report in words."""
    said = [f"{report['documents']:,} documents, {report['bytes'] / 1e6:,.1f} MB of text, "
            f"{report['characters']:,} characters (median document {report['median_document_bytes']:,} bytes, largest "
            f"{report['largest_document_bytes'] / 1e6:,.2f} MB)"]
    if len(report["sources"]) > 1:
        for source in report["sources"][:_SHOWN]:
            tokens = f", {source['tokens']:,} tokens" if "tokens" in source else ""
            said.append(f"  {source['path']}: {source['documents']:,} documents, {source['bytes'] / 1e6:,.1f} MB"
                        f"{tokens}")
        if len(report["sources"]) > _SHOWN:
            said.append(f"  and {len(report['sources']) - _SHOWN} more")
    if "tokens" in report:
        tokens = report["tokens"]
        said.append(f"{tokens['characters_per_token']:.2f} characters and {tokens['bytes_per_token']:.2f} bytes per "
                    f"token ({tokens['measured_on']})")
    scripts = [f"{name} {share:.1%}" for name, share in report["scripts"].items() if share >= 0.001]
    if len(scripts) > 1:
        said.append(f"letters: {', '.join(scripts)}")
    for name, effect in report["cleaning"].items():
        said.append(f"cleaning: {name} changed {effect['texts']:,} texts, "
                    f"{effect['characters_gone']:,} characters gone")
    exact, mode = report["duplicates"]["exact"], report["duplicates"]["mode"]
    if mode == "off" and exact:
        twice = report["duplicates"].get("validation_also_in_training", 0)
        also = f", {twice:,} of the validation documents are also in training" if twice else ""
        said.append(f"duplicates: {exact:,} documents repeat an earlier one and stay{also} (--dedup exact drops them)")
    for reason, entry in report["dropped"].items():
        places = f", first: {'; '.join(entry['first'][:3])}" if entry["first"] else ""
        said.append(f"{'left out, bad' if entry['bad'] else 'left out'}: {entry['count']:,} {reason}{places}")
    if "split" in report:
        held, learnt = report["split"]["validation_bytes"], report["split"]["train_bytes"]
        said.append(f"split: {learnt / 1e6:,.1f} MB for training, {held / 1e6:,.2f} MB for validation")
    return [*said, *report["notes"]]
